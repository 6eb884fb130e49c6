-- Version 2: contacts in doubt wait to be reconciled, people are known across campaigns, each
-- contact has its story, campaigns can be paused, and old contacts can be pruned.

ALTER TABLE campaign ADD COLUMN paused_at REAL;

-- A hash of the external contact id, as far as it is known: the row's, then the platform's.
ALTER TABLE contact ADD COLUMN person TEXT;

-- When the platform is asked next what became of a send; set exactly where a contact is in_doubt.
ALTER TABLE contact ADD COLUMN look_at REAL;

-- What was done and seen, oldest first: the elements of a JSON array, without its brackets.
ALTER TABLE contact ADD COLUMN story TEXT;

CREATE INDEX contact_in_doubt ON contact (campaign_id, look_at) WHERE status = 'in_doubt';

-- Sends that nobody knows the end of yet. One conversation has one at a time, in all campaigns.
CREATE INDEX contact_sending ON contact (conversation_id)
WHERE status IN ('sending', 'in_doubt');

-- Who was written to, or may have been: a row from the intent on, until it is known that the
-- message was not taken. It outlives its contact, so that nobody becomes new again.
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

-- What the first version parked in doubt is taken up: nobody had asked the platform yet.
UPDATE contact
SET status = 'in_doubt', reason = NULL, settled_at = NULL, words = NULL, look_at = 0
WHERE (status = 'parked' AND reason = 'in_doubt') OR status = 'in_doubt';

-- Who is still to be written to, and who may have been.
UPDATE contact
SET person = person_of(COALESCE(intent_external_contact_id, external_contact_id))
WHERE reason IS NULL AND COALESCE(intent_external_contact_id, external_contact_id) IS NOT NULL;

INSERT OR IGNORE INTO reached
SELECT person, id, campaign_id, COALESCE(intent_at, 0) FROM contact
WHERE status IN ('sending', 'in_doubt') AND person IS NOT NULL;
