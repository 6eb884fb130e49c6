"""The statement that carries out a group of changes: it is sent first, and answered later."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

_NAME = b"dispatcher_apply"
_APPLY = (
    b"SELECT dispatcher.apply($1::bigint, $2::bigint, $3::double precision, $4::integer, $5::jsonb)"
)
_APPLY_POOLED = "SELECT dispatcher.apply_pooled(%s, %s, %s, %s, %s::jsonb)"

GroupValues = tuple[int, int, float, int, bytes]
"""The run's number, the group's number, seconds of a lease, number of changes, changes as JSON."""


class ApplyStatement:
    """Calls `dispatcher.apply` on one connection at a time.

    It is executed for each group of changes, so it is prepared once for a connection and then sent
    by libpq directly: a cursor takes some 120 us of CPU more for each group. psycopg removes
    all prepared statements after a transaction that failed; then it is prepared again.
    """

    def __init__(self, *, pooler: bool) -> None:
        self._pooler = pooler
        self._prepared_for: Connection[Any] | None = None

    def execute(
        self,
        connection: "Connection[Any]",
        values: GroupValues,
        on_sent: Callable[[], None],
    ) -> str | None:
        """Return what the function returns.

        ``on_sent`` is called before any answer is awaited: if possible when the group was sent.

        Raises:
            psycopg.Error: the server refuses the group, or does not answer.

        """
        if self._pooler:
            on_sent()
            return _execute_pooled(connection, values)
        if self._prepared_for is connection:
            try:
                return self._send(connection, values, on_sent)
            except import_module("psycopg.errors").InvalidSqlStatementName:
                self._prepared_for = None
        on_sent()
        connection.pgconn.send_prepare(_NAME, _APPLY)
        _answer(connection)
        self._prepared_for = connection
        return self._send(connection, values, on_sent)

    def _send(
        self,
        connection: "Connection[Any]",
        values: GroupValues,
        on_sent: Callable[[], None],
    ) -> str | None:
        *numbers, payload = values
        try:
            connection.pgconn.send_query_prepared(
                _NAME, [*(str(it).encode() for it in numbers), payload]
            )
        finally:
            on_sent()
        answer = _answer(connection).get_value(0, 0)
        return None if answer is None else bytes(answer).decode()


def _execute_pooled(connection: "Connection[Any]", values: GroupValues) -> str | None:
    """Call the function without a prepared statement: the next session may not have it."""
    *numbers, payload = values
    row = connection.execute(_APPLY_POOLED, (*numbers, payload.decode()), prepare=False).fetchone()
    return row[0] if row else None


def _answer(connection: "Connection[Any]") -> Any:
    """Wait for the answer to what was sent; return its result.

    Raises:
        psycopg.Error: it is an error, or there is none.

    """
    psycopg: Any = import_module("psycopg")
    results = connection.wait(import_module("psycopg.generators").execute(connection.pgconn))
    for result in results:  # two, if libpq does not understand the first one
        if result.status not in (psycopg.pq.ExecStatus.TUPLES_OK, psycopg.pq.ExecStatus.COMMAND_OK):
            raise import_module("psycopg.errors").error_from_result(result)
    if not results:
        raise psycopg.OperationalError("the server has sent no result")
    return results[-1]
