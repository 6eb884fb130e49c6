"""The last state of a database that a run on this machine knows to be committed, in a local file.

A server that is restored to an earlier moment does not show it: all of it is as it was. So what a
run has committed is also known outside of the server. A failover keeps every commit that was
confirmed, and so the state.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from dispatcher.ledgers.postgres.writer import PostgresWriter
from dispatcher.ports import LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

RECORD_SECONDS = 5.0
"""How often a run records the state: a restore to a moment that is later is not noticed."""
KEPT_DAYS = 30
"""How long the database keeps the row of a run that has ended; see `dispatcher.register`."""

_NOW = """
    SELECT
        store.location, store.era, daemon.id, extract(epoch FROM daemon.started_at)::text,
        daemon.group_no, extract(epoch FROM clock_timestamp())::double precision
    FROM dispatcher.store, dispatcher.daemon WHERE daemon.id = %s
"""
_ERAS = "SELECT era, earlier_eras FROM dispatcher.store"
_RUN = "SELECT extract(epoch FROM started_at)::text, group_no FROM dispatcher.daemon WHERE id = %s"
_NEWEST = """
    SELECT
        COALESCE(max(id), 0),
        extract(epoch FROM clock_timestamp() - make_interval(days => %s))::double precision
    FROM dispatcher.daemon
"""


class KnownState(NamedTuple):
    """A state of the database at ``location``: the run ``daemon`` had committed ``group`` groups.

    ``started`` is when the run has begun, and ``at`` the time of the state, both by the clock of
    the server, in seconds since the epoch.
    """

    location: str
    era: str
    daemon: int
    started: str
    group: int
    at: float


class StateFile:
    """The file that has the state; without a path there is none, and nothing is known."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def read(self) -> KnownState | None:
        """Return the state; None if there is no file, or it cannot be read."""
        if self.path is None:
            return None
        try:
            values = orjson.loads(self.path.read_bytes())
            state = KnownState(**values)
        except (OSError, orjson.JSONDecodeError, TypeError):
            return None
        return state if all(map(isinstance, state, (str, str, int, str, int, float))) else None

    def write(self, state: KnownState) -> None:
        """Replace the state. A folder that cannot be written has none."""
        if self.path is None:
            return
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        with suppress(OSError):
            new.write_bytes(orjson.dumps(state._asdict()))
            new.replace(self.path)

    def forget(self) -> None:
        """Remove the state: the run itself has reported that the server has lost it."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)


def find_older(connection: "Connection[Any]", location: str, known: KnownState | None) -> bool:
    """Return whether the database at ``location`` is in an earlier state than the known one."""
    if known is None or known.location != location:
        return False
    row = connection.execute(_ERAS).fetchone()
    assert row is not None  # noqa: S101 - there is always one
    era, earlier_eras = row
    if known.era != era:  # a restored one was adopted since, or this one is from before that
        return known.era not in earlier_eras.split()
    run = connection.execute(_RUN, (known.daemon,)).fetchone()
    if run is not None:
        started, group = run
        return bool(started != known.started or group < known.group)
    newest, oldest = connection.execute(_NEWEST, (KEPT_DAYS,)).fetchone() or (0, 0.0)
    return bool(newest < known.daemon or known.at >= oldest)


class KnownStateRecorder:
    """Records the state of a run's own database while it runs, and at its end.

    It closes the writer, because the last state is what this has committed. ``me`` returns the
    number of the run.
    """

    def __init__(self, file: StateFile, writer: PostgresWriter, me: Callable[[], int]) -> None:
        self._file, self._writer, self._me = file, writer, me
        self._task: asyncio.Task[None] | None = None
        if file.path is not None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Record the last state while the writer closes. A failed ledger reports itself."""
        if self._task is None:
            await self._writer.close()
            return
        self._task.cancel()
        with suppress(LedgerError):
            last = self._job()
            await self._writer.close()
            self._file.write(await last)

    async def _run(self) -> None:
        with suppress(LedgerError):  # whatever is written next reports it
            while True:
                self._file.write(await self._job())
                await asyncio.sleep(RECORD_SECONDS)

    def _job(self) -> "asyncio.Future[KnownState]":
        return self._writer.job(partial(_state_now, me=self._me))


def _state_now(connection: "Connection[Any]", me: Callable[[], int]) -> KnownState:
    row = connection.execute(_NOW, (me(),)).fetchone()
    assert row is not None  # noqa: S101 - the row of this run is locked
    return KnownState(*row)
