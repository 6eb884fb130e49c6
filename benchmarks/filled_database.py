"""A database with millions of settled contacts, written in bulk as real runs leave them."""

from typing import Any

from dispatcher.ledgers.postgres.address import PostgresAddress, connect
from dispatcher.ledgers.postgres.migrations import migrate

CHUNK = 1_000_000

# Of 20: one is skipped, one rejected, one parked, nine notified, eight opened.
_STATUS = """CASE n % 20 WHEN 0 THEN 'skipped' WHEN 1 THEN 'rejected' WHEN 2 THEN 'parked'
    ELSE CASE n % 2 WHEN 0 THEN 'opened' ELSE 'notified' END END"""
_REASON = """CASE n % 20 WHEN 0 THEN 'expired' WHEN 1 THEN 'refused' WHEN 2 THEN 'retry_loop'
    ELSE 'delivered' END"""
_PERSON = "substr(md5(n::text), 1, 16)"
_OLD = "substr(md5('old' || n), 1, 8) || '-old-' || lpad(n::text, 22, '0')"
_NEW = "substr(md5('new' || n), 1, 8) || '-new-' || lpad(n::text, 22, '0')"
_EXTERNAL = "'external-' || lpad(n::text, 27, '0')"
_CORRELATION = "'correlation-' || lpad(n::text, 24, '0')"
_AT = "1750000000.0 + n * 0.2"

_CONTACTS = f"""
INSERT INTO dispatcher.contact (
    id, campaign_id, status, reason, settled_at, kept, progress, intent_step, intent_at,
    intent_conversation_id, intent_external_contact_id, key, conversation_id, external_contact_id,
    correlation_id, text_sha256, attributes, text, person, story
)
SELECT
    n, %(campaign)s, {_STATUS}, {_REASON}, {_AT}, CASE WHEN n % 20 IN (1, 2) THEN true END,
    '{{"sends":1}}', 'open', {_AT} - 1, {_OLD}, {_EXTERNAL}, 'settled-' || lpad(n::text, 12, '0'),
    {_OLD}, {_EXTERNAL}, {_CORRELATION}, sha256(n::text::bytea),
    '{{"name":"Somebody ' || n || '","cart":"' || n * 7 || '"}}',
    CASE n % 20 WHEN 2 THEN 'Hello somebody' END, {_PERSON},
    '{{"at":' || n || ',"did":"check"}},{{"at":' || n + 1 || ',"did":"open"}}'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS it (n)
"""
_LINEAGE = f"""
INSERT INTO dispatcher.lineage (
    contact_id, relation, conversation_id, message_id, external_contact_id, state_seen, state_at,
    sent_at, correlation_id
)
SELECT
    n, CASE n % 2 WHEN 0 THEN 'linked' ELSE 'notified' END,
    CASE n % 2 WHEN 0 THEN {_NEW} ELSE {_OLD} END, 'message-' || lpad(n::text, 28, '0'),
    {_EXTERNAL}, 'ended', {_AT} - 2, {_AT} - 1, {_CORRELATION}
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS it (n) WHERE n % 20 > 2
"""
_REACHED = f"""
INSERT INTO dispatcher.reached (person, contact_id, campaign_id, at)
SELECT {_PERSON}, n, %(campaign)s, {_AT} - 1
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS it (n) WHERE n % 20 > 2
"""
_SUMS = """
INSERT INTO dispatcher.settled_sum (campaign_id, status, reason, contacts)
SELECT campaign_id, status, reason, count(*) FROM dispatcher.contact GROUP BY 1, 2, 3
"""
_SEQUENCE = """
SELECT setval(pg_get_serial_sequence('dispatcher.contact', 'id'), max(id)) FROM dispatcher.contact
"""
_TABLES = ("contact", "lineage", "reached")
_AS_AFTER_A_RUN = "ALTER TABLE dispatcher.contact SET (fillfactor = 60)"
"""Rows of new contacts take half of a page; the other half is for their histories.

So pages of settled contacts have no room for new ones: a real run left one such page of 2,473.
"""
_AS_BEFORE = "ALTER TABLE dispatcher.contact SET (fillfactor = 50)"


def fill(address: PostgresAddress, campaign: str, rows: int) -> None:
    """Make a ledger in a new database in which ``rows`` contacts of ``campaign`` are settled."""
    with connect(address, statement_seconds=0) as connection:
        migrate(connection, address)
        connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
        row = connection.execute(
            "INSERT INTO dispatcher.campaign (name, created_at, rows_read, admitted)"
            " VALUES (%s, 0, %s, %s) RETURNING id",
            (campaign, rows, rows),
        ).fetchone()
        assert row is not None
        if not rows:
            return
        later = _without_indexes(connection)
        connection.execute(_AS_AFTER_A_RUN)
        for first in range(1, rows + 1, CHUNK):
            values = {"campaign": row[0], "first": first, "last": min(first + CHUNK - 1, rows)}
            for statement in (_CONTACTS, _LINEAGE, _REACHED):
                connection.execute(statement.replace("% ", "%% "), values)
        connection.execute(_AS_BEFORE)
        connection.execute(_SUMS)
        connection.execute(_SEQUENCE)
        for index in later:
            connection.execute(index)
        for table in _TABLES:
            connection.execute(f"VACUUM (ANALYZE) dispatcher.{table}")
        connection.execute("CHECKPOINT")


def _without_indexes(connection: Any) -> list[str]:
    """Drop what is quicker to build once all is there; return how."""
    found = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY (%s::regclass[]) AND NOT indisprimary",
        ([f"dispatcher.{table}" for table in _TABLES],),
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [definition for _, definition in found]
