"""Takes contacts from the source to the ledger and claims them, only as many as workers need."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from dispatcher.domain.events import RowsRead
from dispatcher.engine.due_times import NEVER, DueTimes
from dispatcher.ports import Batch, Claim, Clock, EventSink, Ledger, Source


class ContactLimit:
    """How many contacts a run may still claim, over all its campaigns."""

    def __init__(self, limit: int | None = None) -> None:
        self.left = limit if limit is not None else NEVER


class Intake:
    """Claims contacts for the workers: those that are due in the ledger first, then new ones.

    A batch of the source is admitted only when the ledger has nothing due, so the backlog is
    bounded by the batch, whatever the length of the source.
    """

    def __init__(
        self, source: Source, ledger: Ledger, events: EventSink, clock: Clock,
        due_times: DueTimes, limit: ContactLimit,
    ) -> None:  # fmt: skip
        self._source = source
        self._ledger = ledger
        self._events = events
        self._clock = clock
        self._due_times = due_times
        self._limit = limit
        self._batches: AsyncGenerator[Batch, None] | None = None
        self._reading: asyncio.Task[Batch | None] | None = None
        self.exhausted = False
        """Whether the source was read to its end."""

    @property
    def next_due(self) -> float:
        """When the next contact in the ledger is due (seconds since the epoch); inf if none."""
        return NEVER if self.limited else self._due_times.next_due

    @property
    def limited(self) -> bool:
        """Whether as many contacts were claimed as this run may claim."""
        return self._limit.left <= 0

    @property
    def reading(self) -> tuple[asyncio.Task[Batch | None], ...]:
        """The task that reads the next batch; empty while none is wanted."""
        return () if self._reading is None else (self._reading,)

    async def start(self) -> None:
        """Open the source where the ledger left it."""
        self._batches = self._source.batches(await self._ledger.positions())
        self._due_times.next_due = 0.0

    async def claims(self, count: int) -> list[Claim]:
        """Claim up to ``count`` contacts that are due; empty if there are none at present."""
        count = int(min(count, self._limit.left))
        if count <= 0:
            return []
        claims: list[Claim] = []
        if self._due_times.next_due <= self._clock.time():
            claims.extend(await self._claim_due(count))
        if len(claims) < count and not self.exhausted:
            claims.extend(await self._admit(count - len(claims)))
        self._limit.left -= len(claims)
        return claims

    async def close(self) -> None:
        """Stop reading; what was read and not admitted is read again in the next run."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._batches is not None:
            await self._batches.aclose()

    async def _claim_due(self, count: int) -> Sequence[Claim]:
        now = self._clock.time()
        self._due_times.next_due = NEVER
        claims = await self._ledger.claim(count, now)
        if len(claims) == count:
            self._due_times.schedule(now)
            return claims
        backlog = await self._ledger.backlog(now)
        for due in (backlog.oldest_due, backlog.next_due):
            if due is not None:
                self._due_times.schedule(due)
        return claims

    async def _admit(self, count: int) -> Sequence[Claim]:
        """Admit the next batch if it was read; claim up to ``count`` of its contacts."""
        batch = await self._next_batch()
        if batch is None:
            return ()
        now = self._clock.time()
        admitted = await self._ledger.admit(batch, now, count)
        if admitted.admitted > len(admitted.claims):
            self._due_times.schedule(now)
        self._events.emit(
            RowsRead(
                rows=batch.rows,
                admitted=admitted.admitted,
                duplicates=admitted.duplicates,
                rejected=len(batch.rejected),
                filtered=batch.filtered,
                empty_file=batch.empty_file,
                irregularities=batch.irregularities,
            )
        )
        return admitted.claims

    async def _next_batch(self) -> Batch | None:
        """Return the next batch if it was read, and begin to read the one after it."""
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
        return None if self._batches is None else await anext(self._batches, None)


class PrefetchLimit:
    """How many contacts may be claimed ahead of the workers: what they finish in a moment.

    A claimed contact is out of the ledger's order of due times, so a slow run claims few.
    """

    SECONDS = 0.3

    def __init__(self, workers: int, limit: int) -> None:
        self._workers = workers
        self._limit = limit
        self._finished: deque[tuple[float, int]] = deque(maxlen=8)

    def size(self, now: float, finished: int) -> int:
        """Return the size that fits the recent pace; ``finished`` counts all contacts so far."""
        if not self._finished or now - self._finished[-1][0] >= self.SECONDS / 4:
            self._finished.append((now, finished))
        then, before = self._finished[0]
        pace = (finished - before) / (now - then) if now > then else 0.0
        return int(min(self._limit, max(self._workers, pace * self.SECONDS)))
