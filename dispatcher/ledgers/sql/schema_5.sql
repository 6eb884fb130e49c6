-- Version 5: a UUID is stored in lower case. In campaigns of before keys, people and their hashes
-- may be of the upper case, so both are looked up there (see spellings.py).

ALTER TABLE campaign ADD COLUMN has_upper_case INTEGER NOT NULL DEFAULT 0;

UPDATE campaign SET has_upper_case = 1;
