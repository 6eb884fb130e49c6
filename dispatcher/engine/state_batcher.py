"""Batches state checks: contacts that wait for their first one share one request."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import BargeIn, DecisionPolicy, Finish, Notify, decide
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.ids import canonical_id
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Step
from dispatcher.engine.clients.pool import ClientPermit, ClientPool
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.send_result import Left
from dispatcher.ports import Clock, Reply

COOLDOWN_SECONDS = 60.0
"""How long states are read individually after a batch request that failed."""
_RESOLVED_BY_RETRY = frozenset({AnswerKind.UNAUTHORIZED, AnswerKind.THROTTLED})
"""Refusals that the renewal or the hold resolves: the next batch request may succeed."""


class _Waiter:
    """A contact that waits for a batch."""

    __slots__ = ("conversation", "in_flight", "leads", "read_at")

    def __init__(self, in_flight: InFlight) -> None:
        self.in_flight = in_flight
        self.leads: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Done with True if it is to lead the next batch, with False if it was served."""
        self.conversation: Conversation | None = None
        """What the batch returned; None: read it individually."""
        self.read_at = 0.0
        """When the batch was read (monotonic seconds)."""

    def dismiss(self) -> None:
        """Let it go on, with what the batch returned for it so far."""
        if not self.leads.done():
            self.leads.set_result(False)


class StateBatcher:
    """Reads the states of up to ``limit`` contacts in one request, as the platform records them.

    The first waiter leads: it gets the permit, and its batch is what waits by then. A batched
    state may be stale. A contact is checked individually if it was checked before, if the
    decision is notify under `BargeIn.CUSTOMER_ONLY`, or if it would become final without a
    send. A send that rests on a stale state is refused, and then the state is read
    individually, too.
    """

    def __init__(
        self, pool: ClientPool, requester: Requester, refusals: RefusalHandler, clock: Clock,
        policy: DecisionPolicy, limit: int,
    ) -> None:  # fmt: skip
        self._pool = pool
        self._requester = requester
        self._refusals = refusals
        self._clock = clock
        self._policy = policy
        self._limit = limit
        self._waiters: deque[_Waiter] = deque()
        self._cooldown_until = float("-inf")

    async def read_state(self, in_flight: InFlight) -> Conversation | Left | None:
        """Return a state that a decision may rest on; None if it has to be read individually."""
        if in_flight.progress != NEW or self._is_cooling_down():
            return None
        waiter = _Waiter(in_flight)
        self._waiters.append(waiter)
        try:
            if self._waiters[0] is waiter or await waiter.leads:
                left = await self._lead(waiter)
                if left is not None:
                    return left
        finally:
            self._leave(waiter)
        conversation = waiter.conversation
        if conversation is None or not self._is_sufficient(in_flight, conversation):
            return None
        in_flight.record_state(conversation, waiter.read_at)
        return conversation

    def _is_cooling_down(self) -> bool:
        return self._clock.monotonic() < self._cooldown_until

    def _leave(self, waiter: _Waiter) -> None:
        """Remove a waiter that was not served; the next one leads if this one was to lead."""
        if waiter in self._waiters:
            first = self._waiters[0] is waiter
            self._waiters.remove(waiter)
            if first:
                self._appoint_leader()

    def _appoint_leader(self) -> None:
        if self._waiters and not self._waiters[0].leads.done():
            self._waiters[0].leads.set_result(True)

    async def _lead(self, leader: _Waiter) -> Left | None:
        """Read a batch; `Left` if the leader has left its worker."""
        permit = await self._pool.acquire(Step.CHECK_MANY, leader.in_flight.id)
        if permit is not None and self._is_cooling_down():
            permit.release()
            permit = None
        if permit is None:  # a cooldown, a drain, or a long hold: each contact finds out by itself
            for waiter in self._take(len(self._waiters)):
                waiter.dismiss()
            return None
        batch = self._take(self._limit)
        self._appoint_leader()
        if len(batch) == 1:
            permit.release()
            return None
        try:
            return await self._read_batch(batch, permit)
        finally:
            for waiter in batch:
                waiter.dismiss()

    def _take(self, limit: int) -> Sequence[_Waiter]:
        """Take the first waiters out of the queue; the leader is the first of them."""
        return [self._waiters.popleft() for _ in range(min(limit, len(self._waiters)))]

    async def _read_batch(self, batch: Sequence[_Waiter], permit: ClientPermit) -> Left | None:
        leader = batch[0].in_flight
        ids = list(dict.fromkeys(w.in_flight.contact.conversation_id for w in batch))
        reply = await self._requester.read_many(leader, permit, ids)
        if not isinstance(reply, Reply):
            return reply if isinstance(reply, Left) else None
        kind = classify(Step.CHECK_MANY, reply.result)
        if kind is AnswerKind.ACCEPTED and isinstance(reply.result, Answer):
            leader.client.breaker.record_success(leader.id, Step.CHECK_MANY, leader.sent_at)
            self._distribute(batch, reply.result, kind)
            return None
        for waiter in batch:
            waiter.dismiss()
        leader.record_request(Step.CHECK_MANY, reply.result, kind)
        if kind not in _RESOLVED_BY_RETRY:
            self._cooldown_until = self._clock.monotonic() + COOLDOWN_SECONDS
        handled = await self._refusals.handle(leader, Step.CHECK_MANY, kind, reply)
        return handled if isinstance(handled, Left) else None

    def _distribute(self, batch: Sequence[_Waiter], answer: Answer, kind: AnswerKind) -> None:
        read = answer.conversations or ()
        states = {canonical_id(conversation.id): conversation for conversation in read}
        leader, now = batch[0].in_flight, self._clock.monotonic()
        for waiter in batch:
            in_flight = waiter.in_flight
            conversation = states.get(canonical_id(in_flight.contact.conversation_id))
            in_flight.client, in_flight.sent_at = leader.client, leader.sent_at
            in_flight.state_requests += 1.0 / len(batch)
            in_flight.record_request(
                Step.CHECK_MANY, replace(answer, conversation=conversation), kind
            )
            waiter.conversation, waiter.read_at = conversation, now
            waiter.dismiss()

    def _is_sufficient(self, in_flight: InFlight, conversation: Conversation) -> bool:
        """Return True if a state that may be stale is enough for its decision."""
        if conversation.state is State.UNKNOWN:
            return False
        contact, progress, now = in_flight.contact, in_flight.progress, self._clock.time()
        match decide(contact, conversation, progress, self._policy, now):
            case Finish():
                return False
            case Notify():
                return self._policy.barge_in is not BargeIn.CUSTOMER_ONLY
            case _:
                return True
