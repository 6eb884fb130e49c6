-- Version 6: a source may be anything that has a place to read on from, not only a file. The place is
-- text that its source alone reads; for a file it is the offset in bytes and the line.

CREATE TABLE stream (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    fingerprint TEXT NOT NULL,
    name TEXT NOT NULL,
    at TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, fingerprint)
) STRICT, WITHOUT ROWID;

INSERT INTO stream
SELECT campaign_id, fingerprint, file, "offset" || ' ' || line, line, done FROM position;

DROP TABLE position;
