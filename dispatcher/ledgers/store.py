"""The store of a run in a SQLite file, which the run has for itself."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TypeVar

from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.lineage_log import SqliteLineageLog
from dispatcher.ledgers.notice_log import SqliteNoticeLog
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.registration import STRICT, OpenOptions
from dispatcher.ports import ENDLESS, HeldLease, Lease, Recovered
from dispatcher.ports.orders import Order, OrderAnswer
from dispatcher.ports.questions import Page, PagedRows, Question

A = TypeVar("A")
R = TypeVar("R")


class SqliteStore:
    """The ledgers of a run's campaigns, in one file. Use `open` to create it.

    The file is never away: what fails, has failed for good.
    """

    away_since: float | None = None
    away_reason = ""
    tenure = ENDLESS
    """The lock of the file: no other process can take it."""

    def __init__(self, path: Path, campaign: str, first: SqliteLedger) -> None:
        self.adopted, self.created = first.adopted, first.created
        self._first, self._ledgers = first, {campaign: first}
        self._reader = SqliteOperatorStore(path)
        self._reading = asyncio.Lock()
        self._open = ExitStack()
        self._open.enter_context(self._reader)

    @classmethod
    async def open(
        cls,
        path: str | Path,
        campaign: str,
        *,
        now: Callable[[], float] = time.time,
        options: OpenOptions = STRICT,
    ) -> Self:
        """Lock and open the store at ``path`` with its first campaign; see `SqliteLedger.open`.

        Raises:
            CopiedLedgerError: it is a copy, and ``options`` does not adopt it.
            LedgerError: another process has locked it, or it cannot be used.

        """
        first = await SqliteLedger.open(path, campaign, now=now, options=options)
        return cls(Path(path), campaign, first)

    async def try_take(self, leases: Sequence[Lease]) -> Sequence[HeldLease]:  # noqa: ARG002 - the lock of the file is all
        """Return nothing: the run has the whole file for itself."""
        return ()

    async def orders_changed(self) -> None:
        """Wait for ever: no other process can write into the file."""
        await asyncio.get_running_loop().create_future()

    async def campaign(self, name: str) -> SqliteLedger:
        """Return the ledger of a campaign. Add the campaign if the file does not have it."""
        if name not in self._ledgers:
            self._ledgers[name] = await self._first.for_campaign(name)
        return self._ledgers[name]

    def lineage_log(self) -> SqliteLineageLog:
        """Return the lineage of all campaigns, for sinks."""
        return self._first.lineage_log()

    def notice_log(self) -> SqliteNoticeLog:
        """Return the notices for web servers that have not taken them yet."""
        return self._first.notice_log()

    async def take_up(self) -> Mapping[str, Recovered]:
        """Take up what ended runs left in the campaigns that are open here; see `Store`."""
        return {name: await ledger.recover() for name, ledger in self._ledgers.items()}

    async def order(self, order: Order) -> OrderAnswer:
        """Carry out an order in one transaction; see `Store`."""
        return await self._first.order(order)

    async def look(self, question: Question[A]) -> A:
        """Return the answer to a question; see `Store`."""
        return await self._first.look(question)

    async def page(self, rows: PagedRows[R], cursor: str) -> Page[R]:
        """Return the rows after a cursor. It does not delay other calls; see `Store`."""
        return await asyncio.shield(asyncio.ensure_future(self._read_page(rows, cursor)))

    async def _read_page(self, rows: PagedRows[R], cursor: str) -> Page[R]:
        async with self._reading:
            return await asyncio.to_thread(self._reader.page, rows, cursor)

    def record_socket(self, path: str) -> None:
        """Record where the run takes commands, in the lock file."""
        self._first.record_socket(path)

    async def close(self) -> None:
        """Write what is queued, close the file and release the lock."""
        async with self._reading:
            self._open.close()  # before the writer: the last connection removes the log
        await self._first.close()
