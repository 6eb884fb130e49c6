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

-- Columns that change often are first, long ones last. reason is set if and only if the status is
-- final, due if and only if it is ready. text, subject, address and intent_target are removed from
-- final contacts, except from parked ones, which can be replayed. progress has, as JSON, what
-- differs from the progress of a new contact.
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

-- The contacts that are not final: ready ones by their due time, the others under NULL. Claims and
-- starts read no settled contact, and an intent does not write to this index.
CREATE INDEX contact_open ON contact (campaign_id, due) WHERE reason IS NULL;

CREATE INDEX contact_parked ON contact (campaign_id, reason) WHERE status = 'parked';

-- One row for each message that the platform took, in the order of commits.
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

-- Input rows that are no valid contacts.
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

-- Counts of contacts and rejected rows, which are too many to count on demand.
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
