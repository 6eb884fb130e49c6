-- Version 10: a ledger may be copied to another place, as `dispatcher ledger copy` does.

-- At most one row; see moves.py. `progress` is how far the copy has come, as JSON. `last_contact` is an
-- id that no new contact may have: rows of pruned contacts still name such ids.
CREATE TABLE move (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL,
    copy_id TEXT NOT NULL,
    place TEXT NOT NULL,
    at REAL NOT NULL,
    progress TEXT NOT NULL,
    last_contact INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Cursors of sinks that another ledger has written, with the cursor here that means the same. A sink
-- may have kept its cursor, too, so the text must stay.
CREATE TABLE moved_cursor (
    cursor TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
