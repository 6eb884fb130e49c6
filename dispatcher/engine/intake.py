"""Takes contacts from the source to the ledger and claims them, only as many as workers need."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from dispatcher.domain.events import BadRow, RowsRead, SourceState
from dispatcher.domain.look_schedule import waits
from dispatcher.domain.wait_counts import NOT_BEFORE, session_wait
from dispatcher.engine.due_times import NEVER, DueTimes
from dispatcher.ports import Batch, Claim, Clock, EventSink, Ledger, Source, SourceError

MOST_PAGES = 50
"""How often the ledger is asked for more in place of looks that were put off."""
STARVED_SECONDS = 2.0
"""When no source and no due time had a contact for so long, looks may use the whole quota."""
RECENTLY_ASKED_SECONDS = 2.0
"""A source that was last asked for rows longer ago is not expected to answer."""
UNANSWERED_SECONDS = 240.0
"""A source that is silent for longer is reported: the writer of a pipe may take a break, and a file
that is compressed, or a workbook, may be read for minutes before its first new row."""


class ContactLimit:
    """How many contacts a run may still claim, over all its campaigns."""

    def __init__(self, limit: int | None = None) -> None:
        self.remaining = limit if limit is not None else math.inf


class Intake:
    """Claims contacts for the workers: those that are due in the ledger first, then new ones.

    A batch of the source is admitted only when the ledger has nothing due, so the backlog is
    bounded by the batch, whatever the length of the source. With ``at_once`` each batch is admitted
    as soon as the source has it, because someone waits for its commit; the source bounds how many.
    """

    def __init__(  # noqa: PLR0913 - the parts of a campaign's run, and how its source is read
        self, source: Source, ledger: Ledger, events: EventSink, clock: Clock,
        due_times: DueTimes, limit: ContactLimit, *, at_once: bool = False,
    ) -> None:  # fmt: skip
        self._source = source
        self._ledger = ledger
        self._events = events
        self._clock = clock
        self._due_times = due_times
        self._limit = limit
        self._at_once = at_once
        self._admitting: asyncio.Task[None] | None = None
        self._rechecks = due_times.rechecks
        self._fed_at = float("-inf")
        self._batches: AsyncGenerator[Batch, None] | None = None
        self._reading: asyncio.Task[Batch | None] | None = None
        self._last_row: float | None = None
        self._rows = 0
        self._asked_at = self._unanswered_since = float("-inf")
        self.ready_count = 0
        """Contacts that were ready, due or not, at the last gauges, and those admitted since."""
        self.exhausted = False
        """Whether the source was read to its end."""

    @property
    def next_due(self) -> float:
        """When the next contact in the ledger is due (seconds since the epoch); inf if none."""
        if self.limited:
            return NEVER
        look = self._rechecks.next_look if self._rechecks.alone else None
        return self._due_times.next_due if look is None else min(look, self._due_times.next_due)

    @property
    def limited(self) -> bool:
        """Whether as many contacts were claimed as this run may claim."""
        return self._limit.remaining <= 0

    @property
    def reading(self) -> tuple[asyncio.Task[Batch | None], ...]:
        """The task that reads the next batch; empty while none is wanted."""
        return () if self._reading is None else (self._reading,)

    async def start(self) -> None:
        """Open the source where the ledger left it."""
        self._batches = self._source.batches(await self._ledger.streams())
        self._due_times.next_due = 0.0
        self._fed_at = self._clock.monotonic()

    async def claims(self, count: int, ahead: int = 0) -> list[Claim]:
        """Claim up to ``count`` contacts that are due; empty if there are none at present.

        If a statement can claim more of them, it claims up to ``ahead`` more, but no more looks.
        """
        count = int(min(count, self._limit.remaining))
        most = int(min(count + ahead, self._limit.remaining))
        if count <= 0:
            return []
        claims = [*await self._claim_looks(count)]
        for _ in range(MOST_PAGES):
            if len(claims) >= count or self._due_times.next_due > self._clock.time():
                break
            claims.extend(await self._claim_due(most - len(claims)))
        if len(claims) < count and not self.exhausted and not self._at_once:
            claims.extend(await self._admit(most - len(claims)))
        if any(not waits(claim.progress) for claim in claims):
            self._fed_at = self._clock.monotonic()
        self._rechecks.alone = len(claims) < count and (self.exhausted or self._is_starved())
        if self._rechecks.alone:
            claims.extend(await self._claim_looks(count - len(claims)))
        self._limit.remaining -= len(claims)
        return claims

    def give_back(self, count: int) -> None:
        """Do not count so many of the claims against the limit: no worker took them."""
        self._limit.remaining += count

    def source_state(self) -> SourceState:
        """Return the state of the source, as far as it was read into the ledger."""
        last, now = self._last_row, self._clock.monotonic()
        return SourceState(
            age=None if last is None else now - last,
            rows=self._rows,
            ended=self.exhausted,
            watched=self._source.watched,
            waits_for=self._source.waits_for or self._wanted_rows(now),
            lag=self._source.lag,
        )

    def _wanted_rows(self, now: float) -> str:
        """Return a message if the source does not answer, although it is asked for rows; else "".

        That is so after `UNANSWERED_SECONDS`. A watched source may have none for any time.
        """
        waited = now - self._unanswered_since
        is_wanted = now - self._asked_at < RECENTLY_ASKED_SECONDS
        if self._source.watched or self.exhausted or not is_wanted or waited < UNANSWERED_SECONDS:
            return ""
        return f"it was asked for rows {waited:.0f} s ago and has not answered"

    async def admit_at_once(self) -> None:
        """Admit each batch as soon as the source has it, until `stop_admitting` or its end.

        It returns at once if the source is to wait for the workers.

        Raises:
            SourceError: the source cannot be read; the batches that were taken are admitted.
            LedgerError: the ledger is lost.

        """
        if not self._at_once:
            return
        errors: list[SourceError] = []
        async with asyncio.TaskGroup() as group:
            self._admitting = group.create_task(self._admit_all(group, errors))
        if errors:
            raise errors[0]

    async def _admit_all(self, group: asyncio.TaskGroup, errors: list[SourceError]) -> None:
        """Admit each batch in a task of its own; add the error that ends the source."""
        try:
            if self._batches is not None:
                async for batch in self._batches:
                    group.create_task(self._admit_batch(batch, 0))
        except SourceError as error:
            errors.append(error)
        else:
            self.exhausted = True

    def stop_admitting(self) -> None:
        """Take no further batch of a source that does not wait for the workers.

        Those that were taken are admitted.
        """
        if self._admitting is not None:
            self._admitting.cancel()

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
            return await self._bounded(claims, now)
        backlog = await self._ledger.backlog(now)
        for due in (backlog.oldest_due, backlog.next_due):
            if due is not None:
                self._due_times.schedule(due)
        return await self._bounded(claims, now)

    async def _bounded(self, claims: Sequence[Claim], now: float) -> Sequence[Claim]:
        """Put off looks that are due beyond their share, such as those of an earlier run."""
        looks = [claim for claim in claims if waits(claim.progress)]
        if not looks:
            return claims
        for claim in looks:
            self._rechecks.forget(claim.id)
        late = looks[self._rechecks.permit(len(looks), now) :]
        if late:
            await asyncio.gather(*(self._put_off(claim, now) for claim in late))
        put_off = {claim.id for claim in late}
        return [claim for claim in claims if claim.id not in put_off]

    async def _put_off(self, claim: Claim, now: float) -> None:
        due = self._rechecks.plan(claim.id, now, now)
        await self._ledger.defer(claim.id, due, claim.progress)
        self._due_times.schedule(due)
        self._due_times.waiting.add(session_wait(claim.progress), due)

    async def _claim_looks(self, count: int) -> Sequence[Claim]:
        """Claim contacts whose looks may be made now, before others that are due for longer."""
        ids = self._rechecks.take(self._clock.time(), count)
        if not ids:
            return ()
        claims = await self._ledger.claim_early(ids)
        for claim in claims:
            self._due_times.waiting.remove(session_wait(claim.progress), claim.due or 0.0)
        return claims

    def _is_starved(self) -> bool:
        """Return True if nothing but looks was there to claim for a while."""
        return self._clock.monotonic() - self._fed_at > STARVED_SECONDS

    async def _admit(self, count: int) -> Sequence[Claim]:
        """Admit the next batch if it was read; claim up to ``count`` of its contacts."""
        batch = await self._next_batch()
        if batch is None:
            return ()
        return await self._admit_batch(batch, count)

    async def _admit_batch(self, batch: Batch, count: int) -> Sequence[Claim]:
        now = self._clock.time()
        admitted = await self._ledger.admit(batch, now, count)
        if batch.done is not None:
            batch.done(admitted)
        if admitted.receipt is not None or admitted.key_reused:
            return ()  # nothing was written
        self.ready_count += admitted.admitted
        if admitted.admitted > len(admitted.claims):
            self._due_times.schedule(now)
        for due in admitted.later:
            self._due_times.waiting.add(NOT_BEFORE, due)
        if batch.rows:
            self._last_row = self._clock.monotonic()
            self._rows += batch.rows
        stream = batch.stream
        self._events.emit(
            RowsRead(
                rows=batch.rows,
                admitted=admitted.admitted,
                duplicates=admitted.duplicates,
                rejected=len(batch.rejected),
                filtered=batch.filtered,
                bad_rows=tuple(
                    BadRow(row.file, row.line, row.reason, row.detail) for row in batch.rejected
                ),
                file_done=stream.name if stream is not None and stream.done else None,
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
        now = self._clock.monotonic()
        if now - self._asked_at >= RECENTLY_ASKED_SECONDS:
            self._unanswered_since = now
        self._asked_at = now
        if not self._reading.done():
            return None
        self._unanswered_since = now
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

    def update(self, now: float, finished: int) -> int:
        """Record the contacts ``finished`` so far; return how many may be claimed ahead."""
        if not self._finished or now - self._finished[-1][0] >= self.SECONDS / 4:
            self._finished.append((now, finished))
        then, before = self._finished[0]
        pace = (finished - before) / (now - then) if now > then else 0.0
        return int(min(self._limit, max(self._workers, pace * self.SECONDS)))
