"""Sessions as behind a pooler in transaction mode: nothing of them is left after a transaction.

The server forgets settings, prepared statements, locks of the session, temporary tables and LISTEN
whenever a connection has no transaction open. What depends on one of them fails as with pgbouncer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from tests.support.lazy_imports import Lazily

psycopg = Lazily("psycopg")


@contextmanager
def discarded_sessions() -> Iterator[None]:
    """Let all connections that are made in the block be such sessions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psycopg.connect", _kind().connect)
        yield


@cache
def _kind() -> Any:
    idle = psycopg.pq.TransactionStatus.IDLE

    class DiscardedSession(psycopg.Connection):  # type: ignore[misc, name-defined]
        """Discards its session after each transaction."""

        def wait(self, *arguments: Any, **options: Any) -> Any:
            try:
                return super().wait(*arguments, **options)
            finally:
                if not self.closed and self.pgconn.transaction_status == idle:
                    self.pgconn.exec_(b"DISCARD ALL")

    return DiscardedSession
