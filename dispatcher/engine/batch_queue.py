"""Collects contacts that wait for a state, and reads the states of many in one request."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import inf

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.ids import canonical_id
from dispatcher.domain.status import Step
from dispatcher.engine.batch_balance import BatchBalance
from dispatcher.engine.clients.pool import ClientPermit
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.send_result import LeftWorker
from dispatcher.ports import Reply

LARGE = 0.25
"""A batch of this part of all contacts in flight, or of more, shows that the quota is scarce."""
COOLDOWN_SECONDS = 60.0
"""How long states are read individually after a batch request that failed."""
_RESOLVED_BY_RETRY = frozenset({AnswerKind.UNAUTHORIZED, AnswerKind.THROTTLED})
"""Refusals that the renewal or the hold resolves: the next batch request may succeed."""


class Waiter:
    """A contact that waits for a batch."""

    __slots__ = ("conversation", "in_flight", "leads", "read_at", "repeats", "served")

    def __init__(self, in_flight: InFlight) -> None:
        self.in_flight = in_flight
        self.leads: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Done with True if it is to lead the next batch, with False if it was served."""
        self.conversation: Conversation | None = None
        """What the batch returned; None: read it individually."""
        self.read_at = 0.0
        """When the batch was read (monotonic seconds)."""
        self.served = False
        """Whether the batch was read."""
        self.repeats = False
        """Whether the batch was refused, and the next one may succeed."""

    def dismiss(self) -> None:
        """Let it go on, with what the batch returned for it so far."""
        if not self.leads.done():
            self.leads.set_result(False)


class BatchQueue:
    """The contacts that wait for a batch.

    The first waiter leads: it gets the permit, and its batch is what waits by then, up to ``size``.
    """

    def __init__(
        self, requester: Requester, refusals: RefusalHandler, balance: BatchBalance,
        size: Callable[[], int],
    ) -> None:  # fmt: skip
        self._requester = requester
        self._refusals = refusals
        self._balance = balance
        self._size = size
        self._pool = requester.pool
        self._clock = requester.clock
        self.population: Callable[[], float] = lambda: inf
        """Returns how many contacts the workers have."""
        self._waiters: deque[Waiter] = deque()
        self._large: asyncio.Event | None = None
        self._cooldown_until = float("-inf")

    async def read(self, in_flight: InFlight) -> Waiter | LeftWorker | None:
        """Read the contact's record with those of others; None if that is not permitted.

        It is tried once more after a refusal that the renewal or the hold resolves.
        """
        waiter = await self._read_once(in_flight)
        if isinstance(waiter, Waiter) and waiter.repeats:
            return await self._read_once(in_flight)
        return waiter

    async def _read_once(self, in_flight: InFlight) -> Waiter | LeftWorker | None:
        """Read the record in one batch, like `read`.

        A probe must not wait for others: they wait for the end of the halt, and so for it.
        """
        if not self._is_permitted or self._pool.is_probe(in_flight.id):
            return None
        waiter = Waiter(in_flight)
        self._waiters.append(waiter)
        try:
            if self._waiters[0] is waiter or await waiter.leads:
                gone = await self._lead(waiter)
                if gone is not None:
                    return gone
        finally:
            self._leave(waiter)
        return waiter

    @property
    def _is_permitted(self) -> bool:
        """Whether a batch may be read now, and is worth its cost."""
        return not self._is_cooling_down() and self._balance.permits_batch and self._size() > 1

    def _is_cooling_down(self) -> bool:
        return self._clock.monotonic() < self._cooldown_until

    def _leave(self, waiter: Waiter) -> None:
        """Remove a waiter that was not served; the next one leads if this one was to lead."""
        if waiter in self._waiters:
            first = self._waiters[0] is waiter
            self._waiters.remove(waiter)
            if first:
                self._appoint_leader()

    def _appoint_leader(self) -> None:
        if self._waiters and not self._waiters[0].leads.done():
            self._waiters[0].leads.set_result(True)

    async def _lead(self, leader: Waiter) -> LeftWorker | None:
        """Read a batch; `LeftWorker` if the leader has left its worker.

        A permit may come at once. So the other workers that got a contact in this turn of the
        event loop take theirs first. A batch that most workers waited for shows that the quota is
        scarce: until its answer comes the few that are left collect for the next one.
        """
        await asyncio.sleep(0)
        while self._large is not None:
            await self._large.wait()
        permit = await self._pool.acquire(Step.CHECK_MANY, leader.in_flight.id)
        if permit is not None and self._is_cooling_down():
            permit.release()
            permit = None
        if permit is None:  # a cooldown, a drain, or a long hold: each contact finds out by itself
            for waiter in self._take(len(self._waiters)):
                waiter.dismiss()
            return None
        batch = self._take(self._size())
        self._appoint_leader()
        if len(batch) == 1:
            permit.release()
            return None
        large = asyncio.Event()
        if len(batch) >= LARGE * self.population():
            self._large = large
        try:
            return await self._read_batch(batch, permit)
        finally:
            large.set()
            if self._large is large:
                self._large = None
            for waiter in batch:
                waiter.dismiss()

    def _take(self, limit: int) -> Sequence[Waiter]:
        """Take the first waiters out of the queue; the leader is the first of them."""
        return [self._waiters.popleft() for _ in range(min(limit, len(self._waiters)))]

    async def _read_batch(self, batch: Sequence[Waiter], permit: ClientPermit) -> LeftWorker | None:
        leader = batch[0].in_flight
        ids = list(dict.fromkeys(w.in_flight.contact.conversation_id for w in batch))
        reply = await self._requester.read_many(leader, permit, ids)
        if not isinstance(reply, Reply):
            return reply if isinstance(reply, LeftWorker) else None
        kind = classify(Step.CHECK_MANY, reply.result)
        if kind not in _RESOLVED_BY_RETRY:  # an individual read would have met that, too
            self._balance.count_batch()
        if kind is AnswerKind.ACCEPTED and isinstance(reply.result, Answer):
            leader.client.breaker.record_success(leader.id, Step.CHECK_MANY, leader.sent_at)
            self._distribute(batch, reply.result, kind)
            return None
        repeats = kind in _RESOLVED_BY_RETRY
        for waiter in batch:
            waiter.repeats = repeats
            if not repeats:
                waiter.dismiss()
        leader.record_request(Step.CHECK_MANY, reply.result, kind)
        if not repeats:
            self._cooldown_until = self._clock.monotonic() + COOLDOWN_SECONDS
        handled = await self._refusals.handle(leader, Step.CHECK_MANY, kind, reply)
        return handled if isinstance(handled, LeftWorker) else None

    def _distribute(self, batch: Sequence[Waiter], answer: Answer, kind: AnswerKind) -> None:
        states = _by_id(answer.conversations or ())
        leader, now = batch[0].in_flight, self._clock.monotonic()
        for waiter in batch:
            in_flight = waiter.in_flight
            conversation = states.get(canonical_id(in_flight.contact.conversation_id))
            in_flight.client, in_flight.sent_at = leader.client, leader.sent_at
            in_flight.state_requests += 1.0 / len(batch)
            in_flight.record_request(
                Step.CHECK_MANY, replace(answer, conversation=conversation), kind
            )
            waiter.conversation, waiter.read_at, waiter.served = conversation, now, True
            waiter.dismiss()


def _by_id(records: Iterable[Conversation]) -> dict[str, Conversation | None]:
    """Return the records by id; None for one that occurs twice with different facts."""
    found: dict[str, Conversation | None] = {}
    for record in records:
        key = canonical_id(record.id)
        found[key] = record if found.get(key, record) == record else None
    return found
