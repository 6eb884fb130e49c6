"""Records which database a ledger is in, and refuses a copy of it.

A replica that takes over has the same location. A database that was dumped and restored, or copied
from a template, has another one: what was sent since then is not in it.
"""

import secrets
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error
from dispatcher.ledgers.postgres.new_era import begin_era
from dispatcher.ledgers.postgres.pages import read_era
from dispatcher.ledgers.registration import CopiedLedgerError

if TYPE_CHECKING:
    from psycopg import Connection

_LOCATION = """
    SELECT system_identifier::text || '/' || (
        SELECT oid::text FROM pg_database WHERE datname = current_database()
    ) FROM pg_control_system()
"""
_RECORDED = "SELECT location FROM dispatcher.store FOR UPDATE"
_RECORD = "UPDATE dispatcher.store SET location = %s, opened_at = %s"
_LONG = "SET LOCAL statement_timeout = 0"


def register_location(
    connection: "Connection[Any]", address: PostgresAddress, now: float, *, adopt: bool
) -> str | None:
    """Record where the ledger is; return what was adopted, in words, or None if it was there.

    Raises:
        CopiedLedgerError: it is a copy, and ``adopt`` is False; nothing was changed.

    """
    with connection.transaction():
        here = connection.execute(_LOCATION).fetchone()
        known = connection.execute(_RECORDED).fetchone()
        assert here is not None  # noqa: S101 - it returns one row
        assert known is not None  # noqa: S101 - as above
        if known[0] in ("", here[0]):
            if known[0] == "":
                connection.execute(_RECORD, (here[0], now))
            return None
        problem = (
            f"a run last opened the ledger in another database or on another server (system and "
            f"database {known[0]}; these are {here[0]})"
        )
        if not adopt:
            raise _copied(address, problem)
        connection.execute(_LONG)
        begin_era(connection, read_era(connection), secrets.token_hex(8))
        connection.execute(_RECORD, (here[0], now))
        return problem


def _copied(address: PostgresAddress, problem: str) -> CopiedLedgerError:
    error = ledger_error(
        address,
        f"this is a copy: {problem}. What was sent after the copy was made is not in it, so a run "
        "would send it again; and two ledgers of one campaign send everything twice. If the other "
        "database still exists, set ledger.url to it. If it is lost or will never be used again, "
        "take the people out of the source who got a message since (docs/ledger-postgres.md), then "
        "add --adopt to `dispatcher run` once",
    )
    return CopiedLedgerError(str(error))
