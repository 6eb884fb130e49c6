-- Version 1 of the ledger. Times are seconds since the epoch.

CREATE TABLE campaign (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    rows_read INTEGER NOT NULL DEFAULT 0,
    admitted INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What changes often stands first, what is long stands last. A reason is there exactly where
-- the status is final, a due time exactly where it is ready. text, subject, address and intent_target are gone once a contact is
-- final, except for a parked one, which can be replayed. progress holds, as JSON, what differs
-- from the progress of a contact that nothing was done for yet.
CREATE TABLE contact (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    status TEXT NOT NULL,
    due REAL,
    reason TEXT,
    settled_at REAL,
    progress TEXT,
    intent_step TEXT,
    intent_at REAL,
    intent_conversation_id TEXT,
    intent_external_contact_id TEXT,
    intent_target TEXT,
    intent_target_is_guest_id INTEGER,
    key TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    external_contact_id TEXT,
    not_before REAL,
    expires_at REAL,
    correlation_id TEXT,
    words TEXT,
    text_sha256 BLOB NOT NULL,
    attributes TEXT,
    subject TEXT,
    address TEXT,
    text TEXT,
    UNIQUE (campaign_id, key)
) STRICT;

-- All that is not final, and no more: ready contacts by their due time, the others under NULL.
-- So neither a claim nor a start looks at a settled contact, and an intent leaves it alone.
CREATE INDEX contact_open ON contact (campaign_id, due) WHERE reason IS NULL;

CREATE INDEX contact_parked ON contact (campaign_id, reason) WHERE status = 'parked';

-- One row for each message that the platform took, in the order of the commits.
CREATE TABLE lineage (
    id INTEGER PRIMARY KEY,
    contact_id INTEGER NOT NULL UNIQUE REFERENCES contact (id),
    relation TEXT NOT NULL,
    conversation_id TEXT,
    message_id TEXT,
    external_contact_id TEXT,
    state_seen TEXT,
    state_at REAL,
    sent_at REAL,
    correlation_id TEXT NOT NULL
) STRICT;

-- Rows of the input that could not become contacts.
CREATE TABLE rejected_row (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    raw BLOB NOT NULL,
    at REAL NOT NULL
) STRICT;

-- How far each file was read.
CREATE TABLE position (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    fingerprint TEXT NOT NULL,
    file TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    line INTEGER NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, fingerprint)
) STRICT, WITHOUT ROWID;

-- Sums that would otherwise need a look at every row.
CREATE TABLE settled_sum (
    campaign_id INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    contacts INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, status, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejected_sum (
    campaign_id INTEGER NOT NULL,
    reason TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, reason)
) STRICT, WITHOUT ROWID;
