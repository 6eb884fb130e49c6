"""Records which database a ledger is in, and refuses a copy of it, or an earlier state.

A replica that takes over is the same ledger. What shows that a ledger is another one, or older:

- Its location: a database that was dumped and restored elsewhere, or copied from a template.
- The transaction that has written the row of `store`, which the row itself names: rows that were
  loaded from a dump have another one.
- A target of recovery in the settings of a server whose timeline has changed since: a replica that
  takes over has none.
- The last state that a run on this machine has committed; see `known_state`.
"""

import secrets
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error, load_psycopg
from dispatcher.ledgers.postgres.known_state import StateFile, find_older
from dispatcher.ledgers.postgres.new_era import begin_era
from dispatcher.ledgers.postgres.pages import read_era
from dispatcher.ledgers.registration import CopiedLedgerError

if TYPE_CHECKING:
    from psycopg import Connection

RESTORED = "restored"
"""The location of a ledger of which an operator has said that it was restored."""

_LOCATION = """
    SELECT system_identifier::text || '/' || (
        SELECT oid::text FROM pg_database WHERE datname = current_database()
    ) FROM pg_control_system()
"""
_RECORDED = """
    SELECT location, written_in IN ('', xmin::text), timeline FROM dispatcher.store FOR UPDATE
"""
_RECORD = "UPDATE dispatcher.store SET location = %s, timeline = %s, opened_at = %s"
_SIGN = "UPDATE dispatcher.store SET written_in = xmin::text"
"""The row keeps this transaction, also when it is frozen or its table is rewritten."""
_LOG_FILE = "SELECT pg_walfile_name(pg_current_wal_lsn())"
_TARGET = """
    SELECT name FROM pg_settings
    WHERE
        name IN (
            'recovery_target', 'recovery_target_lsn', 'recovery_target_name',
            'recovery_target_time', 'recovery_target_xid'
        )
        AND setting <> ''
    LIMIT 1
"""
_LONG = "SET LOCAL statement_timeout = 0"
_MARK = "UPDATE dispatcher.store SET location = %s"


def register_location(
    connection: "Connection[Any]", address: PostgresAddress, now: float, *, adopt: bool
) -> str | None:
    """Record where the ledger is; return what was adopted, in words, or None if it was there.

    Raises:
        CopiedLedgerError: it is a copy or was restored, and ``adopt`` is False; nothing is changed.

    """
    with connection.transaction():
        here, timeline = str(_value(connection, _LOCATION)), _timeline(connection)
        row = connection.execute(_RECORDED).fetchone()
        assert row is not None  # noqa: S101 - there is always one
        problem = _problem(connection, address, (here, timeline), row)
        if problem is None:
            if (row[0], row[2]) != (here, timeline):
                _record(connection, here, timeline, now)
            return None
        if not adopt:
            raise _copied(address, problem)
        connection.execute(_LONG)
        begin_era(connection, read_era(connection), secrets.token_hex(8))
        _record(connection, here, timeline, now)
        return problem


def mark_restored(connection: "Connection[Any]") -> None:
    """Record in the open transaction that the ledger was restored: each run refuses it then."""
    connection.execute(_MARK, (RESTORED,))


def _record(connection: "Connection[Any]", here: str, timeline: int, now: float) -> None:
    connection.execute(_RECORD, (here, timeline, now))
    connection.execute(_SIGN)


def _problem(
    connection: "Connection[Any]",
    address: PostgresAddress,
    here: tuple[str, int],
    recorded: tuple[str, bool, int],
) -> str | None:
    """Return what shows that the ledger is not the one that a run last opened; None: it is."""
    (location, timeline), (known_location, is_own_row, known_timeline) = here, recorded
    if known_location == RESTORED:
        return "it was restored, as `dispatcher ledger restored` has recorded"
    if known_location not in ("", location):
        return (
            f"a run last opened the ledger in another database or on another server (system and "
            f"database {known_location}; these are {location})"
        )
    if not is_own_row:
        return "its tables were loaded from a dump since a run last opened it"
    if 0 < known_timeline < timeline and (target := _value(connection, _TARGET)) is not None:
        return (
            f"its server was recovered to an earlier moment since a run last opened it (its "
            f"setting {target} is set, and its timeline is {timeline} instead of {known_timeline})"
        )
    file = StateFile(address.state_file)
    if find_older(connection, location, file.read()):
        return (
            f"it is an older state of itself: a run on this machine has committed more to it, as "
            f"the file {file.path} has recorded"
        )
    return None


def _timeline(connection: "Connection[Any]") -> int:
    """Return the timeline of the server; 0 if it does not say, as some managed ones."""
    try:
        with connection.transaction():
            return int(str(_value(connection, _LOG_FILE))[:8], 16)
    except load_psycopg().Error:
        return 0


def _value(connection: "Connection[Any]", statement: str) -> Any:
    row = connection.execute(statement).fetchone()
    return row[0] if row else None


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
