-- Version 9: notices that web servers have not taken yet. `due` is 0 for the notice of the end of a run
-- that goes on: the next run makes it due, unless the run has put its own end in its place.

CREATE TABLE notice (
    number INTEGER PRIMARY KEY,
    sink TEXT NOT NULL,
    id TEXT NOT NULL,
    event TEXT NOT NULL,
    campaign TEXT NOT NULL,
    at REAL NOT NULL,
    facts TEXT NOT NULL,
    due INTEGER NOT NULL,
    UNIQUE (sink, id)
) STRICT;
