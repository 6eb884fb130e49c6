-- Version 2: contacts in doubt are reconciled, people are identified in all campaigns, contacts
-- have a history, campaigns can be paused, and old contacts can be pruned.

ALTER TABLE campaign ADD COLUMN paused_at REAL;

-- A hash of the external contact id, if known: first the row's, then the platform's.
ALTER TABLE contact ADD COLUMN person TEXT;

-- When the next look back is due; set if and only if the contact is in doubt.
ALTER TABLE contact ADD COLUMN look_at REAL;

-- The contact's history, oldest entry first: the elements of a JSON array without its brackets.
ALTER TABLE contact ADD COLUMN story TEXT;

CREATE INDEX contact_in_doubt ON contact (campaign_id, look_at) WHERE status = 'in_doubt';

-- Unsettled sends. A conversation has at most one at a time, in all campaigns together.
CREATE INDEX contact_sending ON contact (conversation_id)
WHERE status IN ('sending', 'in_doubt');

-- People who got a message or may have got one: a row from the intent on, until it is known that
-- the message was not taken. It outlives its contact, so that the person is not new again.
CREATE TABLE reached (
    person TEXT NOT NULL,
    contact_id INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    at REAL NOT NULL,
    PRIMARY KEY (person, contact_id)
) STRICT, WITHOUT ROWID;

INSERT INTO reached
SELECT person_of(lineage.external_contact_id), contact.id, contact.campaign_id, lineage.sent_at
FROM lineage
INNER JOIN contact ON lineage.contact_id = contact.id
WHERE lineage.external_contact_id IS NOT NULL AND lineage.sent_at IS NOT NULL;

-- The hashes of the keys of contacts that were pruned or erased.
CREATE TABLE pruned (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    key_hash TEXT NOT NULL,
    PRIMARY KEY (campaign_id, key_hash)
) STRICT, WITHOUT ROWID;

-- The verdict of the platform's own records on the link, and when they were read.
ALTER TABLE lineage ADD COLUMN verified TEXT;
ALTER TABLE lineage ADD COLUMN verified_at REAL;

-- Messages are looked up by time, not by conversation: new rows are at the end of this index, so
-- that a large ledger writes no more pages than a small one.
CREATE INDEX lineage_sent ON lineage (sent_at, conversation_id);

-- Contacts that version 1 parked in doubt are reconciled: version 1 had no look backs.
UPDATE contact
SET status = 'in_doubt', reason = NULL, settled_at = NULL, words = NULL, look_at = 0
WHERE (status = 'parked' AND reason = 'in_doubt') OR status = 'in_doubt';

-- The people of contacts that are not final, and of unsettled sends.
UPDATE contact
SET person = person_of(COALESCE(intent_external_contact_id, external_contact_id))
WHERE reason IS NULL AND COALESCE(intent_external_contact_id, external_contact_id) IS NOT NULL;

INSERT OR IGNORE INTO reached
SELECT person, id, campaign_id, COALESCE(intent_at, 0) FROM contact
WHERE status IN ('sending', 'in_doubt') AND person IS NOT NULL;
