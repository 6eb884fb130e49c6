"""One group commit: many operations, one transaction, and only the bad one fails."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import Fields
from dispatcher.ledgers.errors import is_fatal, ledger_error
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import LedgerError


@dataclass(slots=True, eq=False)
class Change:
    """What becomes of one contact, as transitions.sql knows it.

    Its answer is None once it is durable, or for an intent what stands against it.
    """

    fields: Fields
    caller: asyncio.Future[Any]


@dataclass(slots=True, eq=False)
class Job:
    """Anything else that reads or writes; its answer is what ``run`` returns."""

    run: Callable[[sqlite3.Connection], Any]
    caller: asyncio.Future[Any]


Operation = Change | Job
BlockedResult = Mapping[int, SendBlock]
"""What stands against intents, by the contact's id."""
_NOTHING: Mapping[Operation, Any] = {}


def commit(connection: sqlite3.Connection, path: Path, group: Sequence[Operation]) -> list[Any]:
    """Carry out ``group`` and commit it; return each operation's answer, or its exception.

    Changes come before jobs: a job never waits for one, and one never touches a contact that
    a job of the same group claims.

    Raises:
        sqlite3.Error: the transaction failed; nothing of the group is in the ledger.

    """
    try:
        return _together(connection, group)
    except Exception as error:
        _roll_back(connection)
        if is_fatal(error):
            raise
    try:
        return _one_by_one(connection, path, group)
    except BaseException:
        _roll_back(connection)
        raise


def _together(connection: sqlite3.Connection, group: Sequence[Operation]) -> list[Any]:
    changes = [each.fields for each in group if isinstance(each, Change)]
    if len(changes) == len(group):
        # one statement outside a transaction commits by itself
        hindered = _change(connection, changes)
        return _answers(group, hindered) if hindered else [None] * len(group)
    connection.execute("BEGIN IMMEDIATE")
    hindered = _change(connection, changes) if changes else {}
    done: dict[Operation, Any]
    done = {each: each.run(connection) for each in group if isinstance(each, Job)}
    connection.execute("COMMIT")
    return _answers(group, hindered, done)


def _answers(
    group: Sequence[Operation], hindered: BlockedResult, done: Mapping[Operation, Any] = _NOTHING
) -> list[Any]:
    """Put answers into the order of ``group``: a job's own, a change's None or its hindrance."""
    return [
        done[each] if isinstance(each, Job) else _hindrance(each.fields, hindered) for each in group
    ]


def _hindrance(fields: Fields, hindered: BlockedResult) -> SendBlock | None:
    return hindered.get(fields[1]) if fields[0] == "intend" else None


def _one_by_one(
    connection: sqlite3.Connection, path: Path, group: Sequence[Operation]
) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    answers: dict[Operation, Any] = {}
    for operation in sorted(group, key=lambda each: isinstance(each, Job)):
        answers[operation] = _alone(connection, path, operation)
    connection.execute("COMMIT")
    return [answers[operation] for operation in group]


def _alone(connection: sqlite3.Connection, path: Path, operation: Operation) -> Any:
    connection.execute("SAVEPOINT operation")
    try:
        answer: Any
        if isinstance(operation, Job):
            answer = operation.run(connection)
        else:
            answer = _hindrance(operation.fields, _change(connection, [operation.fields]))
    except Exception as error:
        if is_fatal(error):
            raise
        connection.execute("ROLLBACK TO operation")
        answer = _refusal(connection, path, operation, error)
    connection.execute("RELEASE operation")
    return answer


def _change(connection: sqlite3.Connection, changes: Sequence[Fields]) -> BlockedResult:
    """Carry changes out; return the intents that were not permitted, by the contact's id."""
    payload = orjson.dumps(changes)
    if b"\\u0000" in payload:  # SQLite's JSON ends a string there; the platform's words may not
        payload = payload.replace(b"\\u0000", b"\\ufffd")
    connection.execute(SQL["change"], (payload.decode(),))
    found = connection.execute(SQL["hindered"]).fetchall()
    if not found:
        return {}
    connection.execute(SQL["forget_hindered"])
    return {id_: SendBlock(why) for id_, why in found}


def _refusal(
    connection: sqlite3.Connection, path: Path, operation: Operation, error: Exception
) -> Exception:
    """Say why an operation failed: a contact that is not where it should be, or a wrong value."""
    if isinstance(operation, Job) or not isinstance(error, sqlite3.IntegrityError):
        return ledger_error(path, f"an operation was refused: {error}")
    kind, id_ = operation.fields[:2]
    row = connection.execute(SQL["status_of"], (id_,)).fetchone()
    state = f"is {row[0]}" if row else "is not in it"
    return LedgerError(f"ledger {path}: cannot {kind} contact {id_}: it {state}")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
