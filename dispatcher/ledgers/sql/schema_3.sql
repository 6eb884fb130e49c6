-- Version 3: rows of large, randomly ordered indexes are staged (see write/index_staging.py).
-- A new row has lately = 1 and is next to the other staged rows in its index, which are few. It
-- gets lately = 0 when it is merged into the others. A statement that looks a key or a person up
-- reads both: lately IN (0, 1).

-- The columns are those of versions 1 and 2. A key is unique in its campaign over both values of
-- lately, which admission ensures. lately: 1 = staged, 0 = merged. text_sha256: x'' = erased.
CREATE TABLE contact_3 (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    lately INTEGER NOT NULL DEFAULT 1 CHECK (lately IN (0, 1)),
    status TEXT NOT NULL,
    due REAL,
    reason TEXT,
    settled_at REAL,
    look_at REAL,
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
    person TEXT,
    not_before REAL,
    expires_at REAL,
    correlation_id TEXT,
    words TEXT,
    text_sha256 BLOB NOT NULL,
    attributes TEXT,
    subject TEXT,
    address TEXT,
    text TEXT,
    story TEXT
) STRICT;

INSERT INTO contact_3 (
    lately, id, campaign_id, status, due, reason, settled_at, look_at, progress, intent_step,
    intent_at, intent_conversation_id, intent_external_contact_id, intent_target,
    intent_target_is_guest_id, key, conversation_id, external_contact_id, person, not_before,
    expires_at, correlation_id, words, text_sha256, attributes, subject, address, text, story
)
SELECT
    0, id, campaign_id, status, due, reason, settled_at, look_at, progress, intent_step,
    intent_at, intent_conversation_id, intent_external_contact_id, intent_target,
    intent_target_is_guest_id, key, conversation_id, external_contact_id, person, not_before,
    expires_at, correlation_id, words, text_sha256, attributes, subject, address, text, story
FROM contact ORDER BY id;

DROP TABLE contact;
ALTER TABLE contact_3 RENAME TO contact;

CREATE UNIQUE INDEX contact_key ON contact (lately, campaign_id, key);

-- As in versions 1 and 2.
CREATE INDEX contact_open ON contact (campaign_id, due) WHERE reason IS NULL;
CREATE INDEX contact_parked ON contact (campaign_id, reason) WHERE status = 'parked';
CREATE INDEX contact_in_doubt ON contact (campaign_id, look_at) WHERE status = 'in_doubt';
CREATE INDEX contact_sending ON contact (conversation_id)
WHERE status IN ('sending', 'in_doubt');

CREATE TABLE reached_3 (
    lately INTEGER NOT NULL DEFAULT 1 CHECK (lately IN (0, 1)),
    person TEXT NOT NULL,
    contact_id INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    at REAL NOT NULL,
    PRIMARY KEY (lately, person, contact_id)
) STRICT, WITHOUT ROWID;

INSERT INTO reached_3 (lately, person, contact_id, campaign_id, at)
SELECT 0, person, contact_id, campaign_id, at FROM reached ORDER BY person, contact_id;

DROP TABLE reached;
ALTER TABLE reached_3 RENAME TO reached;
