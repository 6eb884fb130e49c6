-- Version 11: a sink has another token after a copy of the ledger was adopted. `origin` is the cursor at
-- which the ranges of the token begin; what the target has of before is under the old token.

ALTER TABLE sink ADD COLUMN origin TEXT NOT NULL DEFAULT '';
