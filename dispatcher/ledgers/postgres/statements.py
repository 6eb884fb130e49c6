"""SQL statements for operators by name, and how they are run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.migrations import script
from dispatcher.ledgers.postgres.text import escaped, plain
from dispatcher.ledgers.statements import by_name

if TYPE_CHECKING:
    from psycopg import Connection

QUESTIONS = by_name(script("questions.sql"))
"""Statements that only read."""
ORDERS = by_name(script("orders.sql"))
"""Statements of an operator's orders."""
MAINTENANCE = by_name(script("maintenance.sql"))
"""Statements that prune and erase."""
CHECKS = by_name(script("integrity.sql"))
"""Statements that count what a sound ledger does not contain."""

NOTHING: Mapping[str, Any] = {}


def fetch_all(
    connection: "Connection[Any]", statement: str, values: Mapping[str, Any] = NOTHING
) -> list[tuple[Any, ...]]:
    """Return all rows of a statement."""
    cursor = connection.execute(statement, stored(values))
    return [tuple(map(_plain, row)) for row in cursor.fetchall()]


def fetch_row(
    connection: "Connection[Any]", statement: str, values: Mapping[str, Any] = NOTHING
) -> tuple[Any, ...]:
    """Return the only row of a statement."""
    (row,) = fetch_all(connection, statement, values)
    return row


def fetch_named(
    connection: "Connection[Any]", statement: str, values: Mapping[str, Any] = NOTHING
) -> list[dict[str, Any]]:
    """Return all rows of a statement, each with the names of its columns."""
    cursor = connection.execute(statement, stored(values))
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    return [dict(zip(names, map(_plain, row), strict=True)) for row in rows]


def execute(connection: "Connection[Any]", statement: str, values: Mapping[str, Any]) -> int:
    """Execute a statement, and return the number of rows that it concerned."""
    return connection.execute(statement, stored(values)).rowcount


def stored(values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the values of a statement with their texts as they are stored; None for no values."""
    return {name: _stored(value) for name, value in values.items()} or None


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value)
    return [_stored(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


@contextmanager
def snapshot(connection: "Connection[Any]") -> Iterator[None]:
    """Let all reads of the block see the same moment."""
    with _transaction(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
        yield


@contextmanager
def transaction(connection: "Connection[Any]") -> Iterator[None]:
    """Commit what the block does, or roll it back if the block raises.

    A ledger that has moved meanwhile is not changed.
    """
    with _transaction(connection, "BEGIN ISOLATION LEVEL READ COMMITTED"):
        connection.execute("SELECT dispatcher.before_order()")
        yield


@contextmanager
def _transaction(connection: "Connection[Any]", begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        if not connection.closed and not connection.broken:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
