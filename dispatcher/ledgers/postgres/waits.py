"""Says what the server waits for while a command waits for it: a synchronous standby, or a lock."""

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatcher.ledgers.postgres.address import PostgresAddress, connect, load_psycopg
from dispatcher.ledgers.postgres.server_check import sync_wait
from dispatcher.ledgers.postgres.watchdog import shut_down
from dispatcher.ports import LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

LATE_SECONDS = 3.0
"""After so long a statement is looked at, and from then on as often."""
REMIND_SECONDS = 60.0
"""How often the same is said again."""
GIVE_UP_SECONDS = 30.0
"""How long a command waits for a synchronous standby that may never come."""
_LOOK_SECONDS = 2.0
_WAITS = """
    SELECT
        waiter.wait_event_type, waiter.wait_event, current_setting('synchronous_standby_names'),
        (
            SELECT string_agg(
                holder.application_name || ' (pid ' || holder.pid || ', user ' || holder.usename
                || ')', ', ' ORDER BY holder.pid
            ) FROM pg_stat_activity AS holder
            WHERE holder.pid = ANY (pg_blocking_pids(waiter.pid))
        )
    FROM pg_stat_activity AS waiter
    WHERE
        (waiter.pid = %(pid)s OR waiter.application_name = %(application)s)
        AND waiter.usename = current_user AND waiter.pid <> pg_backend_pid()
        AND (waiter.wait_event_type = 'Lock' OR waiter.wait_event = 'SyncRep')
    LIMIT 1
"""
_log = logging.getLogger(__name__)
"""A program that has configured no logging, as a command, shows its warnings on standard error."""


class WaitReport:
    """Says what the server waits for, in a thread, until the connection is closed.

    With ``gives_up`` it ends the connection if a commit waits for a standby for too long.
    """

    def __init__(
        self, connection: "Connection[Any]", address: PostgresAddress, *, gives_up: bool = False
    ) -> None:
        self._connection, self._address, self._gives_up = connection, address, gives_up
        self.gave_up_on = ""
        """What the server was waiting for when the connection was ended; empty: it was not."""
        self._said, self._said_at = "", 0.0
        threading.Thread(target=self._watch, name="ledger-waits", daemon=True).start()

    def _watch(self) -> None:
        busy = load_psycopg().pq.TransactionStatus.ACTIVE
        looked: float | None = None
        stuck: float | None = None
        while not self._connection.closed:
            time.sleep(LATE_SECONDS / 10)
            if self._connection.info.transaction_status != busy:
                looked, stuck, self._said = None, None, ""
                continue
            now = time.monotonic()
            looked = looked or now
            if now - looked < LATE_SECONDS:
                continue
            looked = now
            wait = _look(self._connection, self._address)
            self._say(wait.words, now)
            stuck = (stuck or now) if wait.is_for_standby else None
            if self._gives_up and stuck is not None and now - stuck >= GIVE_UP_SECONDS:
                self.gave_up_on = wait.words
                shut_down(self._connection)
                return

    def _say(self, words: str, now: float) -> None:
        if words and (words != self._said or now - self._said_at >= REMIND_SECONDS):
            self._said, self._said_at = words, now
            _log.warning("dispatcher: ledger %s: %s", self._address.name, words)


class _Wait(NamedTuple):
    words: str
    is_for_standby: bool


_NONE = _Wait("", is_for_standby=False)


def _look(connection: "Connection[Any]", address: PostgresAddress) -> _Wait:
    """Return what the server waits for, with what to do; no words if it works or does not answer.

    The process of the server behind a pooler is not known, so it is found by its name there.
    """
    values: dict[str, Any] = {"pid": 0, "application": None}
    with suppress(
        LedgerError, load_psycopg().OperationalError
    ):  # the command itself reports a server that is away
        if address.pooler:
            values["application"] = connection.info.get_parameters()["application_name"]
        else:
            values["pid"] = connection.info.backend_pid
        looking = connect(address, statement_seconds=_LOOK_SECONDS)
        with looking:
            row = looking.execute(_WAITS, values).fetchone()
        return _NONE if row is None else _wait(*row)
    return _NONE


def _wait(kind: str, event: str, standbys: str, holders: str | None) -> _Wait:
    if kind != "Lock":
        return _Wait(sync_wait(standbys), is_for_standby=True)
    words = (
        f"the server waits for a lock ({event}) that another session has: "
        f"{holders or 'it is not known which'}. Wait for its end, or end it"
    )
    return _Wait(words, is_for_standby=False)
