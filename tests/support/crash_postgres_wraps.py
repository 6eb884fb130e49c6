"""How the points of a ledger in PostgreSQL are reached: groups of changes and statements, wrapped.

Statements are calls of functions in the schema of the ledger, so that their names say what is about
to be committed; which changes a group has is in its parameter.
"""

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import psycopg
from psycopg.pq import TransactionStatus

from dispatcher.ledgers.postgres import address, session
from dispatcher.ledgers.postgres.apply_statement import ApplyStatement
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.postgres.watchdog import Watchdog
from tests.support.crash_ledger_wraps import draining_points
from tests.support.crash_points import Killer, after

ANSWER_SECONDS = 3.0
"""How long the runs wait for an answer; much less than in reality, so that worlds are short."""
TRANSACTION_SECONDS = 5
"""The same for the time after which the server ends a transaction whose end does not come."""
MIDDLE_SECONDS = 0.0005
"""After this time a group that was sent is taken to be carried out."""
_CALL = re.compile(r"dispatcher\.(\w+)\b")
_KINDS = {
    "admit": "admit", "claim": "claim", "take_up": "recover", "stream": "streams",
    "renew": "heartbeat", "take": "lease",
}  # fmt: skip
"""What a statement names, and the first word of the points of its commit."""
_SETTLES = ("settle", "deliver")
"""The kinds of changes with which a contact is settled."""
_MAY_BE_EMPTY = ("claim",)


def wrap_postgres(killer: Killer) -> None:
    """Wrap the driver, and what is not a statement."""
    address.TRANSACTION_SECONDS = TRANSACTION_SECONDS
    session.Watchdog = partial(Watchdog, ANSWER_SECONDS)  # type: ignore[misc, assignment]
    noted = _Noted()
    _wrap_groups(killer)
    _wrap_statements(killer, noted)
    _wrap_transactions(killer, noted)
    after(PostgresStore, "take_up", killer, "start.recovered")


class _Noted(threading.local):
    """The kinds of what the transaction of this thread has done so far."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()


def _wrap_groups(killer: Killer) -> None:
    real = ApplyStatement.execute

    def execute(
        self: ApplyStatement, connection: Any, values: Any, on_sent: Callable[[], None]
    ) -> str | None:
        work = orjson.loads(values[-1])
        kinds = {"settle" if kind in _SETTLES else kind for kind in work}
        killer.reached("group.unsent", *(f"{kind}.before" for kind in kinds))
        if killer.point == "group.middle" and killer.armed:
            threading.Timer(MIDDLE_SECONDS, killer.reached, ("group.middle",)).start()
        answer = real(self, connection, values, on_sent)
        killer.settled(sum(len(work[kind]) for kind in _SETTLES if kind in work))
        killer.reached(
            "group.answered", *(f"{kind}.after" for kind in kinds), *draining_points(killer, kinds)
        )
        return answer

    ApplyStatement.execute = execute  # type: ignore[method-assign]


def _wrap_statements(killer: Killer, noted: _Noted) -> None:
    real = psycopg.Cursor.execute

    def execute(self: Any, query: Any, params: Any = None, **more: Any) -> Any:
        names = set(_CALL.findall(query)) if isinstance(query, str) else set()
        kinds = {_KINDS[name] for name in names if name in _KINDS}
        commits = self.connection.info.transaction_status == TransactionStatus.IDLE
        if commits:
            killer.reached(*(f"{kind}.before" for kind in kinds))
        answer = real(self, query, params, **more)
        kinds -= {kind for kind in _MAY_BE_EMPTY if kind in kinds and _is_empty(self)}
        if not commits:
            noted.kinds |= kinds
            return answer
        killer.reached(*(f"{kind}.after" for kind in kinds), *draining_points(killer, kinds))
        return answer

    psycopg.Cursor.execute = execute  # type: ignore[method-assign]


def _wrap_transactions(killer: Killer, noted: _Noted) -> None:
    real = psycopg.Transaction.__exit__

    def leave(self: Any, *args: Any) -> Any:
        kinds, noted.kinds = noted.kinds, set()
        killer.reached(*(f"{kind}.before" for kind in kinds))
        answer = real(self, *args)
        killer.reached(*(f"{kind}.after" for kind in kinds))
        return answer

    psycopg.Transaction.__exit__ = leave  # type: ignore[method-assign]


def _is_empty(cursor: Any) -> bool:
    result = cursor.pgresult
    return result is None or result.ntuples == 0 or result.get_value(0, 0) is None
