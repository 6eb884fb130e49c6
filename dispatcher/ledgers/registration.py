"""Records where a ledger lives whenever a run opens it, and refuses a copy of a ledger.

The lock file beside the ledger holds the ledger's id and a number that grows with each run that
opens or closes the ledger, and every `ADVANCE_SECONDS` in which something is written. An older
state of the ledger that was put in the place of a newer one has the smaller number.
"""

import sqlite3
import uuid
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error, translated_errors, utc
from dispatcher.ledgers.exclusive import ExclusiveLedger
from dispatcher.ledgers.location import LedgerLocation, difference, find_location
from dispatcher.ledgers.lock import LedgerLock
from dispatcher.ledgers.schema import check_exists
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import LedgerError

ADVANCE_SECONDS = 5.0
"""How often the number in the lock file grows while a run writes."""

_FACTS = tuple(field.name for field in fields(LedgerLocation))


class CopiedLedgerError(LedgerError):
    """The ledger is a copy: what was sent since the copy was made is not in it."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What a person permits when a run opens a ledger.

    ``adopt`` accepts a copy as the ledger from now on. ``allow_network_filesystem`` opens one on a
    file system that other machines may have mounted.
    """

    adopt: bool = False
    allow_network_filesystem: bool = False


STRICT = OpenOptions()
"""Neither a copy nor a network file system is accepted."""


@dataclass(frozen=True, slots=True)
class _LocationRecord:
    """The row of the table ``location``."""

    ledger_id: str
    opened: int
    opened_at: float
    location: LedgerLocation
    backup_at: float | None


def register(
    connection: sqlite3.Connection, lock: LedgerLock, path: Path, now: float, *, adopt: bool = False
) -> str | None:
    """Record where the ledger is and that a run opens it; return what was adopted, in words.

    A ledger without a record (of an earlier version, or a new one) gets one, unless it has contacts
    and its lock file knows of a ledger with a record: then it is from before that one. Returns None
    if the ledger is where it was.

    Raises:
        CopiedLedgerError: it is a copy, and ``adopt`` is False; nothing was changed.

    """
    found, record = find_location(path), read_record(connection)
    problem = copy_problem(connection, lock, path)
    if record is None:
        ledger_id, opened = uuid.uuid4().hex, 0
    else:
        ledger_id = record.ledger_id
        opened = max(record.opened, _newer(lock, ledger_id))
    if problem is not None and not adopt:
        raise _copied(path, problem)
    if problem is not None:
        connection.execute(SQL["renew_sinks"])
    opened += 1
    values = (ledger_id, opened, now, *(getattr(found, name) for name in _FACTS))
    connection.execute(SQL["record_location"], values)
    record_state(lock, (ledger_id, opened))
    return problem


def copy_problem(connection: sqlite3.Connection, lock: LedgerLock, path: Path) -> str | None:
    """Return what shows that the ledger is a copy, in words; None if it is not."""
    record = read_record(connection)
    if record is None:
        return _problem_without(connection, _read_mark(lock.mark)[0])
    return _problem(record, find_location(path), _newer(lock, record.ledger_id))


def _newer(lock: LedgerLock, ledger_id: str) -> int:
    """Return the number of the latest state of this ledger that the lock file knows."""
    marked_id, marked = _read_mark(lock.mark)
    return marked if marked_id == ledger_id else 0


def advance(connection: sqlite3.Connection) -> tuple[str, int]:
    """Count a later state of an open ledger; return what `record_state` takes after the commit."""
    ledger_id, opened = connection.execute(SQL["advance_location"]).fetchone()
    return ledger_id, opened


def record_state(lock: LedgerLock, state: tuple[str, int]) -> None:
    """Record the ledger's id and its number, once it is committed: never ahead of the ledger."""
    ledger_id, opened = state
    lock.record_mark(f"{ledger_id} {opened}")


def adopt_ledger(path: Path, now: float) -> str | None:
    """Accept a copy as the ledger from now on; return what showed that it is one, in words.

    Returns None, and changes only the record of where it is, if it is no copy.

    Raises:
        LedgerLockedError: a dispatcher has locked it.
        LedgerError: there is no ledger, or it cannot be written.

    """
    check_exists(path)
    with closing(ExclusiveLedger.open(path)) as opened, translated_errors(path):
        return register(opened.connection, opened.lock, path, now, adopt=True)


def read_record(connection: sqlite3.Connection) -> _LocationRecord | None:
    """Return the record of where the ledger lives; None if no run has made one."""
    row = connection.execute(SQL["location"]).fetchone()
    if row is None:
        return None
    ledger_id, opened, opened_at, *facts, backup_at = row
    return _LocationRecord(ledger_id, opened, opened_at, LedgerLocation(*facts), backup_at)


def mark_as_backup(connection: sqlite3.Connection, now: float) -> None:
    """Record in a copy of a ledger that it is a backup, wherever it is put."""
    facts = asdict(LedgerLocation("", "", "", "", "", "", ""))
    connection.execute(SQL["record_backup"], (uuid.uuid4().hex, now, *facts.values(), now))


def _problem(record: _LocationRecord, found: LedgerLocation, newer: int) -> str | None:
    """Return what shows that the ledger is a copy, in words; None if it is not."""
    if record.backup_at is not None:
        return f"it is a backup, made at {utc(record.backup_at)}"
    known = record.location
    where = f"at {utc(record.opened_at)} on machine {known.host}, as {known.path}"
    if (changed := difference(known, found)) is not None:
        return f"a run last opened the ledger {where}; this file {changed}"
    if newer > record.opened:
        return (
            f"it is an older state of itself: a run last opened it {where}, but its lock file "
            f"belongs to a later state (number {newer}, this one is {record.opened})"
        )
    return None


def _problem_without(connection: sqlite3.Connection, marked_id: str) -> str | None:
    """Return what shows that a ledger without a record is a copy; None if it is not."""
    (last_id,) = connection.execute(SQL["last_id"]).fetchone()
    if not marked_id or not last_id:
        return None
    return (
        "it has no record of its place, but its lock file belongs to a ledger that had one: it "
        "is an older state, from an older version"
    )


def _copied(path: Path, problem: str) -> CopiedLedgerError:
    error = ledger_error(
        path,
        f"this is a copy: {problem}. What was sent after the copy was made is not in it, so a run "
        "would send it again; and two ledgers of one campaign send everything twice. If the other "
        "file still exists, set ledger.path to it. If it is lost or will never be used again, "
        "take the people out of the source who got a message since (docs/ledger.md), then add "
        "--adopt to `dispatcher run` once, or run `dispatcher ledger adopt`",
    )
    return CopiedLedgerError(str(error))


def _read_mark(mark: str) -> tuple[str, int]:
    """Return the ledger's id and its number, which a lock file holds."""
    ledger_id, _, opened = mark.partition(" ")
    return (ledger_id, int(opened)) if opened.isdecimal() else ("", 0)
