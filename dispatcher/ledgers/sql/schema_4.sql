-- Version 4: the ledger records the machine, the volume and the file that it lives on.

-- At most one row, written by the first run; see location.py. opened grows with each run that
-- opens or closes the ledger, and while it writes. inode and born, the file's creation in nanoseconds since the epoch, are decimal text,
-- since they may exceed a signed integer; a fact that is not known is ''. backup_at is set in a
-- backup only.
CREATE TABLE location (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    ledger_id TEXT NOT NULL,
    opened INTEGER NOT NULL,
    opened_at REAL NOT NULL,
    machine TEXT NOT NULL,
    host TEXT NOT NULL,
    path TEXT NOT NULL,
    volume TEXT NOT NULL,
    file_system TEXT NOT NULL,
    inode TEXT NOT NULL,
    born TEXT NOT NULL,
    backup_at REAL
) STRICT;
