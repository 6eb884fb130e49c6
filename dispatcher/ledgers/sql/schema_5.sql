-- Version 5: a UUID is stored in lower case. In campaigns of before keys, and hashes of what was
-- pruned or erased, may be of the upper case, so both are looked up there (see spellings.py).

ALTER TABLE campaign ADD COLUMN has_upper_case INTEGER NOT NULL DEFAULT 0;

UPDATE campaign SET has_upper_case = 1;

-- The people of contacts whose ids are known get the hash of the lower case.
UPDATE OR REPLACE reached SET person = person_of(contact.external_contact_id)
FROM contact
WHERE
    contact.id = reached.contact_id
    AND LENGTH(contact.external_contact_id) = 36 AND contact.external_contact_id GLOB '*[A-F]*'
    AND reached.person = person_as_spelled(contact.external_contact_id);

UPDATE contact SET person = person_of(external_contact_id)
WHERE
    LENGTH(external_contact_id) = 36 AND external_contact_id GLOB '*[A-F]*'
    AND person = person_as_spelled(external_contact_id);
