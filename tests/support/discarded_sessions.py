"""Sessions as behind a pooler in transaction mode: nothing of them is left after a transaction.

The server forgets settings, prepared statements, locks of the session, temporary tables and LISTEN
whenever a connection has no transaction open. What depends on one of them fails as with pgbouncer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.lazy_imports import Lazily

psycopg = Lazily("psycopg")


@contextmanager
def discarded_sessions() -> Iterator[None]:
    """Let all connections discard their sessions after each transaction of the block."""
    idle, wait = psycopg.pq.TransactionStatus.IDLE, psycopg.Connection.wait

    def wait_and_discard(connection: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return wait(connection, *arguments, **options)
        finally:
            if not connection.closed and connection.pgconn.transaction_status == idle:
                connection.pgconn.exec_(b"DISCARD ALL")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psycopg.Connection.wait", wait_and_discard)
        yield
