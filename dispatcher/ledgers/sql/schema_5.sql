-- Version 5: a UUID is stored in lower case. In campaigns of before keys, and hashes of what was
-- pruned or erased, may be of the upper case, so both are looked up there (see spellings.py). A key
-- in mixed case cannot be looked up, so it becomes one of lower case, unless the campaign has that.

ALTER TABLE campaign ADD COLUMN has_upper_case INTEGER NOT NULL DEFAULT 0;

UPDATE campaign SET has_upper_case = 1;

UPDATE OR IGNORE contact SET key = canonical_id(key)
WHERE
    LENGTH(key) = 36 AND key GLOB '*[A-F]*' AND key GLOB '*[a-f]*' AND key <> canonical_id(key)
    AND NOT EXISTS (
        SELECT 1 FROM contact AS other
        WHERE
            other.lately IN (0, 1) AND other.campaign_id = contact.campaign_id
            AND other.key = canonical_id(contact.key)
    );

-- The people of contacts whose ids are known get the hash of the lower case.
UPDATE OR REPLACE reached SET person = person_of(contact.external_contact_id)
FROM contact
WHERE
    contact.id = reached.contact_id
    AND LENGTH(contact.external_contact_id) = 36 AND contact.external_contact_id GLOB '*[A-F]*'
    AND reached.person = person_as_spelled(contact.external_contact_id);

UPDATE OR REPLACE reached SET person = person_of(contact.intent_external_contact_id)
FROM contact
WHERE
    contact.id = reached.contact_id
    AND LENGTH(contact.intent_external_contact_id) = 36 AND contact.intent_external_contact_id GLOB '*[A-F]*'
    AND reached.person = person_as_spelled(contact.intent_external_contact_id);

UPDATE OR REPLACE reached SET person = person_of(lineage.external_contact_id)
FROM lineage
WHERE
    lineage.contact_id = reached.contact_id
    AND LENGTH(lineage.external_contact_id) = 36 AND lineage.external_contact_id GLOB '*[A-F]*'
    AND reached.person = person_as_spelled(lineage.external_contact_id);

UPDATE contact SET person = person_of(external_contact_id)
WHERE
    LENGTH(external_contact_id) = 36 AND external_contact_id GLOB '*[A-F]*'
    AND person = person_as_spelled(external_contact_id);

UPDATE contact SET person = person_of(intent_external_contact_id)
WHERE
    LENGTH(intent_external_contact_id) = 36 AND intent_external_contact_id GLOB '*[A-F]*'
    AND person = person_as_spelled(intent_external_contact_id);
