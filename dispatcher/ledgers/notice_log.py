"""The notices of a ledger that web servers have not taken yet."""

from collections.abc import Collection, Sequence
from functools import partial

from dispatcher.ledgers.write import notices
from dispatcher.ledgers.write.writer import Writer
from dispatcher.ports.notices import Notice


class SqliteNoticeLog:
    """The notices of all campaigns of a file; see `NoticeLog`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def begin_run(
        self, sink: str, end_notices: Sequence[Notice], now: float
    ) -> Sequence[Notice]:
        """Begin a run with a sink; return what it has not taken of earlier runs."""
        return await self._writer.job(
            partial(notices.begin_run, sink=sink, end_notices=end_notices, now=now)
        )

    async def add(self, sink: str, notice: Notice) -> None:
        """Keep a notice until it is removed. One with the same id is replaced."""
        await self._writer.job(partial(notices.add, sink=sink, notice=notice))

    async def remove(self, sink: str, ids: Collection[str]) -> None:
        """Remove notices that were taken or given up."""
        await self._writer.job(partial(notices.remove, sink=sink, ids=ids))
