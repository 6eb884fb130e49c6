"""Group commit: many operations in one transaction. An operation that is wrong fails alone."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import ChangeRecord
from dispatcher.ledgers.errors import is_fatal, ledger_error
from dispatcher.ledgers.exclusive import transaction
from dispatcher.ledgers.statements import SQL
from dispatcher.ledgers.write.hand_over import Change, Job, Operation
from dispatcher.ports import LedgerError

Blocks = Mapping[int, SendBlock]
"""The reasons why intents are not permitted, by the contact's id."""


def commit(connection: sqlite3.Connection, path: Path, group: Sequence[Operation]) -> list[Any]:
    """Carry out and commit ``group``; return the result of each operation, or its exception.

    Changes come before jobs. This order is safe: no job waits for a change, and no change refers
    to a contact that a job of the same group claims.

    Raises:
        sqlite3.Error: the transaction failed; nothing of the group is in the ledger.

    """
    try:
        return _together(connection, group)
    except Exception as error:
        if is_fatal(error):
            raise
    with transaction(connection):
        jobs_last = sorted(group, key=lambda operation: isinstance(operation, Job))
        results = {operation: _alone(connection, path, operation) for operation in jobs_last}
    return [results[operation] for operation in group]


def _together(connection: sqlite3.Connection, group: Sequence[Operation]) -> list[Any]:
    changes = [operation.record for operation in group if isinstance(operation, Change)]
    if len(changes) == len(group):
        # one statement outside of a transaction is committed by itself
        blocks = _change(connection, changes)
        return [_block(fields, blocks) for fields in changes] if blocks else [None] * len(group)
    with transaction(connection):
        blocks = _change(connection, changes) if changes else {}
        return [
            operation.run(connection)
            if isinstance(operation, Job)
            else _block(operation.record, blocks)
            for operation in group
        ]


def _block(fields: ChangeRecord, blocks: Blocks) -> SendBlock | None:
    kind, id_ = fields[:2]
    return blocks.get(id_) if kind == "intend" else None


def _alone(connection: sqlite3.Connection, path: Path, operation: Operation) -> Any:
    connection.execute("SAVEPOINT operation")
    try:
        result: Any
        if isinstance(operation, Job):
            result = operation.run(connection)
        else:
            result = _block(operation.record, _change(connection, [operation.record]))
    except Exception as error:
        if is_fatal(error):
            raise
        connection.execute("ROLLBACK TO operation")
        result = _as_result(connection, path, operation, error)
    connection.execute("RELEASE operation")
    return result


def _change(connection: sqlite3.Connection, changes: Sequence[ChangeRecord]) -> Blocks:
    """Carry out changes; return the intents that are not permitted."""
    payload = orjson.dumps(changes)
    if b"\\u0000" in payload:  # SQLite's JSON ends a string there; platforms' texts may contain it
        payload = payload.replace(b"\\u0000", b"\\ufffd")
    connection.execute(SQL["change"], (payload.decode(),))
    blocked = connection.execute(SQL["blocked"]).fetchall()
    if not blocked:
        return {}
    connection.execute(SQL["clear_blocked"])
    return {id_: SendBlock(reason) for id_, reason in blocked}


def _as_result(
    connection: sqlite3.Connection, path: Path, operation: Operation, error: Exception
) -> Exception:
    """Return the exception that the caller of a failed operation gets."""
    if isinstance(error, DispatcherError):
        return error
    if isinstance(operation, Job) or not isinstance(error, sqlite3.IntegrityError):
        return ledger_error(path, f"an operation was refused: {error}")
    kind, id_ = operation.record[:2]
    row = connection.execute(SQL["status_of"], (id_,)).fetchone()
    state = f"is {row[0]}" if row else "is not in it"
    return LedgerError(f"ledger {path}: cannot {kind} contact {id_}: it {state}")
