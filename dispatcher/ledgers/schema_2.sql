-- Version 2: contacts in doubt wait to be reconciled, people are known across campaigns, each
-- contact has its story, campaigns can be paused, old contacts can be pruned, and what stands at
-- random places of large indexes is written there when there is time.

ALTER TABLE campaign ADD COLUMN paused_at REAL;

DROP VIEW lineage_row;

-- New columns, beside those that version 1 explains:
-- lately: 1 for a new contact, whose key stands among those of other new ones, which are few and
--   close together; 0 once the key was moved to its place among all the others, when there was
--   time. A statement that looks for a key looks at both: lately IN (0, 1).
-- look_at: when the platform is asked next what became of a send; set exactly where a contact is
--   in_doubt.
-- person: a hash of the external contact id, as far as it is known: the row's, then the
--   platform's.
-- story: what was done and seen, oldest first: the elements of a JSON array, without its brackets.
CREATE TABLE contact_2 (
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

INSERT INTO contact_2 (
    id, campaign_id, lately, status, due, reason, settled_at, progress, intent_step, intent_at,
    intent_conversation_id, intent_external_contact_id, intent_target, intent_target_is_guest_id,
    key, conversation_id, external_contact_id, not_before, expires_at, correlation_id, words,
    text_sha256, attributes, subject, address, text
)
SELECT
    id, campaign_id, 0, status, due, reason, settled_at, progress, intent_step, intent_at,
    intent_conversation_id, intent_external_contact_id, intent_target, intent_target_is_guest_id,
    key, conversation_id, external_contact_id, not_before, expires_at, correlation_id, words,
    text_sha256, attributes, subject, address, text
FROM contact ORDER BY id;

DROP TABLE contact;
ALTER TABLE contact_2 RENAME TO contact;

CREATE UNIQUE INDEX contact_key ON contact (lately, campaign_id, key);
CREATE INDEX contact_open ON contact (campaign_id, due) WHERE reason IS NULL;
CREATE INDEX contact_parked ON contact (campaign_id, reason) WHERE status = 'parked';

CREATE TRIGGER contact_settled AFTER UPDATE OF reason ON contact
WHEN new.reason IS NOT NULL
BEGIN
    INSERT INTO settled_sum VALUES (new.campaign_id, new.status, new.reason, 1)
    ON CONFLICT DO UPDATE SET contacts = contacts + 1;
END;

CREATE TRIGGER contact_unsettled AFTER UPDATE OF reason ON contact
WHEN old.reason IS NOT NULL
BEGIN
    UPDATE settled_sum SET contacts = contacts - 1
    WHERE campaign_id = old.campaign_id AND status = old.status AND reason = old.reason;
END;

CREATE INDEX contact_in_doubt ON contact (campaign_id, look_at) WHERE status = 'in_doubt';

-- Sends that nobody knows the end of yet. One conversation has one at a time, in all campaigns.
CREATE INDEX contact_sending ON contact (conversation_id)
WHERE status IN ('sending', 'in_doubt');

-- Who was written to, or may have been: a row from the intent on, until it is known that the
-- message was not taken. It outlives its contact, so that nobody becomes new again.
-- lately is as in a contact: a new row moves to its place when there is time.
CREATE TABLE reached (
    lately INTEGER NOT NULL DEFAULT 1 CHECK (lately IN (0, 1)),
    person TEXT NOT NULL,
    contact_id INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    at REAL NOT NULL,
    PRIMARY KEY (lately, person, contact_id)
) STRICT, WITHOUT ROWID;

INSERT INTO reached
SELECT 0, person_of(lineage.external_contact_id), contact.id, contact.campaign_id, lineage.sent_at
FROM lineage
INNER JOIN contact ON lineage.contact_id = contact.id
WHERE lineage.external_contact_id IS NOT NULL AND lineage.sent_at IS NOT NULL;

-- What is left of a contact that was pruned: its key, as a hash.
CREATE TABLE pruned (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    key_hash TEXT NOT NULL,
    PRIMARY KEY (campaign_id, key_hash)
) STRICT, WITHOUT ROWID;

-- Whether the platform's own records show the link, and when they were asked.
ALTER TABLE lineage ADD COLUMN verified TEXT;
ALTER TABLE lineage ADD COLUMN verified_at REAL;

-- Which messages are taken already is asked by time, not by conversation: new rows come at the
-- end of the index, so that a ledger that has grown large writes no more pages than a small one.
CREATE INDEX lineage_sent ON lineage (sent_at, conversation_id);

CREATE VIEW lineage_row AS
SELECT
    lineage.id,
    campaign.name AS campaign,
    contact.key AS contact_key,
    contact.conversation_id AS previous_conversation_id,
    lineage.conversation_id,
    lineage.message_id,
    lineage.relation,
    contact.reason,
    lineage.external_contact_id,
    lineage.state_seen,
    lineage.state_at,
    lineage.sent_at,
    contact.settled_at,
    COALESCE(contact.progress ->> 'attempts', 0) AS attempts,
    COALESCE(contact.progress ->> 'sends', 0) AS sends,
    lineage.correlation_id,
    lineage.verified,
    lineage.verified_at,
    contact.attributes
FROM lineage
INNER JOIN contact ON lineage.contact_id = contact.id
INNER JOIN campaign ON contact.campaign_id = campaign.id;

-- What the first version parked in doubt is taken up: nobody had asked the platform yet.
UPDATE contact
SET status = 'in_doubt', reason = NULL, settled_at = NULL, words = NULL, look_at = 0
WHERE (status = 'parked' AND reason = 'in_doubt') OR status = 'in_doubt';

-- Who is still to be written to, and who may have been.
UPDATE contact
SET person = person_of(COALESCE(intent_external_contact_id, external_contact_id))
WHERE reason IS NULL AND COALESCE(intent_external_contact_id, external_contact_id) IS NOT NULL;

INSERT OR IGNORE INTO reached
SELECT 0, person, id, campaign_id, COALESCE(intent_at, 0) FROM contact
WHERE status IN ('sending', 'in_doubt') AND person IS NOT NULL;
