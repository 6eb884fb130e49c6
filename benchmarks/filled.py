"""A ledger with millions of settled contacts, written in bulk, as real runs would have left it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from dispatcher.ledgers.schema import open_for_writing

CHUNK = 100_000
_FAST = (
    "PRAGMA synchronous = OFF",
    "PRAGMA secure_delete = OFF",
    "PRAGMA temp_store = FILE",
    "PRAGMA cache_size = -200000",
    "PRAGMA wal_autocheckpoint = 20000",
)

_NUMBERS = """
WITH RECURSIVE number (n) AS (
    SELECT :first UNION ALL SELECT n + 1 FROM number WHERE n < :last
)
"""

# Of 20: one is skipped, one rejected, one parked, nine notified, eight opened.
_STATUS = """CASE n % 20
    WHEN 0 THEN 'skipped' WHEN 1 THEN 'rejected' WHEN 2 THEN 'parked'
    ELSE CASE n % 2 WHEN 0 THEN 'opened' ELSE 'notified' END END"""
_REASON = """CASE n % 20
    WHEN 0 THEN 'expired' WHEN 1 THEN 'refused' WHEN 2 THEN 'retry_loop' ELSE 'delivered' END"""
_PERSON = "printf('%08x%08x', (n * 2654435761) % 4294967296, n)"
_OLD = "printf('%08x-old-%022d', (n * 2246822519) % 4294967296, n)"
_NEW = "printf('%08x-new-%022d', (n * 3266489917) % 4294967296, n)"
_EXTERNAL = "printf('external-%027d', n)"
_AT = "1750000000.0 + n * 0.2"

_CONTACTS = f"""
INSERT INTO contact (
    id, campaign_id, lately, status, reason, settled_at, progress, intent_step, intent_at,
    intent_conversation_id, intent_external_contact_id, key, conversation_id,
    external_contact_id, correlation_id, text_sha256, attributes, text, person, story
)
{_NUMBERS}
SELECT
    n, 1, 0, {_STATUS}, {_REASON}, {_AT}, '{{"sends":1}}', 'open', {_AT} - 1, {_OLD}, {_EXTERNAL},
    printf('settled-%012d', n), {_OLD}, {_EXTERNAL}, printf('correlation-%024d', n),
    randomblob(32), printf('{{"name":"Somebody %d","cart":"%d"}}', n, n * 7),
    CASE n % 20 WHEN 2 THEN 'Hello somebody' END, {_PERSON},
    printf('{{"at":%d,"did":"check"}},{{"at":%d,"did":"open"}}', n, n + 1)
FROM number
"""

_LINEAGE = f"""
INSERT INTO lineage (
    contact_id, relation, conversation_id, message_id, external_contact_id, state_seen,
    state_at, sent_at, correlation_id
)
{_NUMBERS}
SELECT
    n, CASE n % 2 WHEN 0 THEN 'linked' ELSE 'notified' END,
    CASE n % 2 WHEN 0 THEN {_NEW} ELSE {_OLD} END, printf('message-%028d', n), {_EXTERNAL},
    'ended', {_AT} - 2, {_AT} - 1, printf('correlation-%024d', n)
FROM number WHERE n % 20 > 2
"""

_REACHED = f"""
INSERT INTO reached (lately, person, contact_id, campaign_id, at)
{_NUMBERS}
SELECT 0, {_PERSON}, n, 1, {_AT} - 1 FROM number WHERE n % 20 > 2 ORDER BY 1
"""

_SUMS = """
INSERT INTO settled_sum
SELECT campaign_id, status, reason, COUNT(*) FROM contact GROUP BY status, reason
"""


def fill(path: Path, campaign: str, rows: int) -> None:
    """Make a ledger at ``path`` in which ``rows`` contacts of ``campaign`` are settled."""
    open_for_writing(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for setting in _FAST:
            connection.execute(setting).fetchone()
        connection.execute(
            "INSERT INTO campaign (name, created_at, rows_read, admitted) VALUES (?, 0, ?, ?)",
            (campaign, rows, rows),
        )
        indexes = _without_indexes(connection)
        for first in range(1, rows + 1, CHUNK):
            numbers = {"first": first, "last": min(first + CHUNK - 1, rows)}
            connection.execute(_CONTACTS, numbers)
            connection.execute(_LINEAGE, numbers)
        connection.execute(_REACHED, {"first": 1, "last": rows})
        connection.execute(_SUMS)
        for index in indexes:
            connection.execute(index)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _without_indexes(connection: sqlite3.Connection) -> list[str]:
    """Drop what is quicker to build once all is there; return how."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [sql for _, sql in found]
