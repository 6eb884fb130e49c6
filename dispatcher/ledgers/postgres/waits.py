"""Says what the server waits for while a command waits for it: a synchronous standby, or a lock."""

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import PostgresAddress, connect, load_psycopg
from dispatcher.ledgers.postgres.server_check import sync_wait
from dispatcher.ports import LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

LATE_SECONDS = 3.0
"""After so long a statement is looked at, and from then on as often."""
REMIND_SECONDS = 60.0
"""How often the same is said again."""
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


def say_waits(connection: "Connection[Any]", address: PostgresAddress) -> None:
    """Say what the server waits for, in a thread, until the connection is closed."""
    threading.Thread(
        target=_watch, args=(connection, address), name="ledger-waits", daemon=True
    ).start()


def _watch(connection: "Connection[Any]", address: PostgresAddress) -> None:
    busy = load_psycopg().pq.TransactionStatus.ACTIVE
    said, said_at = "", 0.0
    began: float | None = None
    while not connection.closed:
        time.sleep(LATE_SECONDS / 10)
        if connection.info.transaction_status != busy:
            began, said = None, ""
            continue
        now = time.monotonic()
        began = began or now
        if now - began < LATE_SECONDS:
            continue
        began = now
        words = _look(connection, address)
        if words and (words != said or now - said_at >= REMIND_SECONDS):
            said, said_at = words, now
            _log.warning("dispatcher: ledger %s: %s", address.name, words)


def _look(connection: "Connection[Any]", address: PostgresAddress) -> str:
    """Return what the server waits for, with what to do; empty if it works or does not answer.

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
        return "" if row is None else _words(*row)
    return ""


def _words(kind: str, event: str, standbys: str, holders: str | None) -> str:
    if kind == "Lock":
        return (
            f"the server waits for a lock ({event}) that another session has: "
            f"{holders or 'it is not known which'}. Wait for its end, or end it"
        )
    return sync_wait(standbys)
