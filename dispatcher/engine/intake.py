"""Source to ledger, and ledger to workers: only as much as the workers need."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from dispatcher.domain.events import RowsRead
from dispatcher.engine.completion import NEVER, Completer
from dispatcher.ports import Batch, Claim, Source


class ContactLimit:
    """How many contacts a run may still take out of the ledger, in all its campaigns."""

    def __init__(self, limit: int | None = None) -> None:
        self.left = limit if limit is not None else NEVER


class Intake:
    """Hands out claims: contacts that are due in the ledger first, then new ones.

    A batch of the source is admitted only when the ledger has nothing due, so the backlog is
    bounded by the batch, whatever the length of the source.
    """

    def __init__(self, source: Source, desk: Completer, allowance: ContactLimit) -> None:
        self._source = source
        self._desk = desk
        self._ledger = desk.ledger
        self._allowance = allowance
        self._batches: AsyncIterator[Batch] | None = None
        self._reading: asyncio.Task[Batch | None] | None = None
        self.exhausted = False
        """Whether the source was read to its end."""

    @property
    def next_due(self) -> float:
        """When the next contact in the ledger is due (seconds since the epoch); inf if none."""
        return NEVER if self._allowance.left <= 0 else self._desk.next_due

    @property
    def limited(self) -> bool:
        """Whether as many contacts were taken as this run may take."""
        return self._allowance.left <= 0

    async def start(self) -> None:
        """Open the source where the ledger left it."""
        self._batches = self._source.batches(await self._ledger.positions())
        self._desk.next_due = 0.0

    async def claims(self, room: int) -> list[Claim]:
        """Take up to ``room`` contacts that are due now; empty if there are none just now."""
        room = int(min(room, self._allowance.left))
        if room <= 0:
            return []
        taken: list[Claim] = []
        if self._desk.next_due <= self._desk.clock.time():
            taken.extend(await self._due(room))
        if len(taken) < room and not self.exhausted:
            taken.extend(await self._admitted(room - len(taken)))
        self._allowance.left -= len(taken)
        return taken

    @property
    def reading(self) -> tuple[asyncio.Task[Batch | None], ...]:
        """What is done once the source has another batch; empty while nobody asked for one."""
        return () if self._reading is None else (self._reading,)

    async def close(self) -> None:
        """Stop reading; what was read and not admitted is read again next time."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        aclose = getattr(self._batches, "aclose", None)
        if aclose is not None:
            await aclose()

    async def _due(self, room: int) -> list[Claim]:
        now = self._desk.clock.time()
        self._desk.next_due = NEVER
        claims = list(await self._ledger.claim(room, now))
        if len(claims) == room:
            self._due_at(now)
            return claims
        backlog = await self._ledger.backlog(now)
        for due in (backlog.oldest_due, backlog.next_due):
            if due is not None:
                self._due_at(due)
        return claims

    async def _admitted(self, room: int) -> list[Claim]:
        batch = await self._next_batch()
        if batch is None:
            return []
        now = self._desk.clock.time()
        admitted = await self._ledger.admit(batch, now, room)
        if admitted.admitted > len(admitted.claims):
            self._due_at(now)
        self._desk.events.emit(
            RowsRead(
                rows=batch.rows,
                admitted=admitted.admitted,
                duplicates=admitted.duplicates,
                rejected=len(batch.rejected),
                filtered=batch.filtered,
            )
        )
        return list(admitted.claims)

    async def _next_batch(self) -> Batch | None:
        """Return the next batch if it is there already; reading goes on meanwhile."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        if not self._reading.done():
            await asyncio.sleep(0)
        if not self._reading.done():
            return None
        batch = self._reading.result()
        self._reading = None
        if batch is None:
            self.exhausted = True
            return None
        self._reading = asyncio.ensure_future(self._read())
        return batch

    async def _read(self) -> Batch | None:
        if self._batches is None:
            return None
        return await anext(self._batches, None)

    def _due_at(self, due: float) -> None:
        self._desk.next_due = min(self._desk.next_due, due)


class PrefetchLimit:
    """How many contacts may lie ready for the workers: what they finish in a moment.

    A contact in the hand is not in the ledger's due order any more, so a slow run holds few.
    """

    SECONDS = 0.3

    def __init__(self, workers: int, most: int) -> None:
        self._workers = workers
        self._most = most
        self._finished: deque[tuple[float, int]] = deque(maxlen=8)

    def size(self, now: float, finished: int) -> int:
        """Return the size that fits the pace of late; ``finished`` counts all so far."""
        if not self._finished or now - self._finished[-1][0] >= self.SECONDS / 4:
            self._finished.append((now, finished))
        then, before = self._finished[0]
        pace = (finished - before) / (now - then) if now > then else 0.0
        return int(min(self._most, max(self._workers, pace * self.SECONDS)))
