-- Version 8: how far the lineage has gone out to each sink. `sending_to` is the end of a range that is
-- going out: after a crash the same range goes out again.

CREATE TABLE sink (
    name TEXT NOT NULL,
    part TEXT NOT NULL,
    token TEXT NOT NULL,
    cursor TEXT NOT NULL,
    sending_to TEXT,
    PRIMARY KEY (name, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX lineage_verified ON lineage (verified_at, id) WHERE verified_at IS NOT NULL;
