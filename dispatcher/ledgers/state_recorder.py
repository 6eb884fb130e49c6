"""Records in the lock file, while a run writes, that the ledger is in a later state."""

import asyncio
import sqlite3
from contextlib import suppress

from dispatcher.ledgers.lock import LedgerLock
from dispatcher.ledgers.registration import ADVANCE_SECONDS, advance, record_state
from dispatcher.ledgers.write.writer import Writer
from dispatcher.ports import LedgerError


class StateRecorder:
    """Records a later state every `ADVANCE_SECONDS` in which something was written."""

    def __init__(self, lock: LedgerLock, writer: Writer) -> None:
        self._lock = lock
        self._writer = writer
        self._changes = 0
        self._unrecorded: tuple[str, int] | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Record the last state, and stop. A failed ledger is reported by what is written next."""
        self._task.cancel()
        with suppress(LedgerError):
            await self.record()

    async def record(self) -> None:
        """Record the present state, if something was written since the last one.

        Raises:
            LedgerError: the ledger has failed.

        """
        await self._writer.job(self._advance_if_changed)
        if self._unrecorded is not None:
            record_state(self._lock, self._unrecorded)
            self._unrecorded = None

    async def _run(self) -> None:
        with suppress(LedgerError):  # whatever is written next reports it
            while True:
                await asyncio.sleep(ADVANCE_SECONDS)
                await self.record()

    def _advance_if_changed(self, connection: sqlite3.Connection) -> None:
        """Keep the later state: a caller that is cancelled leaves it to the next one to record."""
        if connection.total_changes != self._changes:
            self._unrecorded = advance(connection)
            self._changes = connection.total_changes
