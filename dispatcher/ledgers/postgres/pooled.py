"""A connection through a pooler in transaction mode, where no setting of a session lasts."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

_ALONE = ("BEGIN", "VACUUM")
"""The first words of statements that cannot be executed in a transaction."""


@cache
def pooled_connection() -> "type[Connection[Any]]":
    """Return the class of a connection that names the isolation of each transaction itself.

    A statement alone would be executed with the default of the user or the database. So it gets a
    transaction of its own, which costs two more messages.
    """
    psycopg: Any = import_module("psycopg")
    idle = psycopg.pq.TransactionStatus.IDLE

    class PooledConnection(psycopg.Connection):  # type: ignore[misc]  # it is loaded by name
        def execute(self, query: Any, params: Any = None, **more: Any) -> "Cursor[Any]":
            is_alone = str(query).lstrip().upper().startswith(_ALONE)
            if is_alone or self.info.transaction_status != idle:
                return super().execute(query, params, **more)  # type: ignore[no-any-return]
            with self.transaction():
                return super().execute(query, params, **more)  # type: ignore[no-any-return]

    return PooledConnection
