-- Version 7: the results of requests whose clients may repeat them. A repeat after a crash gets the
-- same result, because it is written with the contacts of the request.

CREATE TABLE receipt (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    request_key TEXT NOT NULL,
    digest TEXT NOT NULL,
    at REAL NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (campaign_id, request_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_at ON receipt (at);
