"""Batches state checks: contacts that wait for one share one request."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import inf

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import DecisionPolicy, Finish, Open, Wait, decide
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.ids import canonical_id
from dispatcher.domain.next_step import Jitter, NextStep, Recheck
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Step
from dispatcher.engine.batch_balance import BatchBalance
from dispatcher.engine.clients.pool import ClientPermit
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.record_rules import is_final, is_sufficient, may_share, may_wait_for_end
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.send_result import Left
from dispatcher.ports import Reply

MOST_LEFT = 0.3
"""The part of the contacts in flight that may be left when a batch goes before their sends."""
LARGE = 0.25
"""The part of all contacts in flight from which on a batch shows that the quota is scarce."""
COOLDOWN_SECONDS = 60.0
"""How long states are read individually after a batch request that failed."""
VERIFIED_SHARE = 0.2
"""The share of looks at sessions that were waited for long that are made individually."""
MOST_REMEMBERED = 10_000
"""The contacts whose records are known to be of no use."""
_MAY_BE_MISLED = frozenset(
    {AnswerKind.CLOSED, AnswerKind.CONFLICT, AnswerKind.STALE, AnswerKind.REFUSED}
)
"""Refusals of a send whose cause may be that it rested on a record."""
_RESOLVED_BY_RETRY = frozenset({AnswerKind.UNAUTHORIZED, AnswerKind.THROTTLED})
"""Refusals that the renewal or the hold resolves: the next batch request may succeed."""


class _Waiter:
    """A contact that waits for a batch."""

    __slots__ = ("conversation", "in_flight", "leads", "read_at", "served")

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

    def dismiss(self) -> None:
        """Let it go on, with what the batch returned for it so far."""
        if not self.leads.done():
            self.leads.set_result(False)


class StateBatcher:
    """Reads the states of several contacts in one request, as the platform records them.

    The first waiter leads: it gets the permit, and its batch is what waits by then, up to ``size``.
    What a record is enough for says `record_rules`; for everything else a state is read
    individually. ``jitter`` decides which sessions that are waited for are checked individually.
    """

    def __init__(
        self, requester: Requester, refusals: RefusalHandler, policy: DecisionPolicy,
        size: Callable[[], int], jitter: Jitter,
    ) -> None:  # fmt: skip
        self._requester = requester
        self._refusals = refusals
        self._policy = policy
        self._size = size
        self._jitter = jitter
        self._pool = requester.pool
        self._clock = requester.clock
        self.population: Callable[[], float] = lambda: inf
        """Returns how many contacts the workers have."""
        self._waiters: deque[_Waiter] = deque()
        self._large: asyncio.Event | None = None
        self._answer_seconds = 0.0
        self._cooldown_until = float("-inf")
        self._balance = BatchBalance()
        self._without_record: dict[int, None] = {}

    async def read_state(self, in_flight: InFlight) -> Conversation | Left | None:
        """Return a state that a decision may rest on; None if it has to be read individually."""
        waiter = None
        if may_share(in_flight, self._policy) and not self._is_checked_individually(in_flight):
            waiter = await self._read(in_flight)
        if isinstance(waiter, Left):
            return waiter
        in_flight.record = None if waiter is None else self._sufficient(waiter)
        if waiter is None or in_flight.record is None:
            self._balance.count_individual()
            return None
        self._balance.count_used()
        in_flight.record_state(in_flight.record, waiter.read_at)
        return in_flight.record

    async def before_open(self, in_flight: InFlight, decision: Open) -> Open | Wait | Left | None:
        """Return what is next for a contact whose session a refusal has called closed.

        Without a record that is ``decision``, an open without a state check. If the session has
        not ended yet, wait; if its record shows it open, read its state (None).
        """
        if not may_wait_for_end(in_flight, self._policy) or self._is_checked_individually(
            in_flight
        ):
            return decision
        waiter = await self._read(in_flight)
        if waiter is None or isinstance(waiter, Left):
            return waiter or decision
        record, progress = waiter.conversation, in_flight.progress
        if record is not None and record.state is State.OPEN:
            in_flight.progress, in_flight.alone = replace(progress, open_next=False), True
            return None
        if record is not None and record.state is State.CLOSED:
            now = self._clock.time()
            later = decide(in_flight.contact, record, progress, self._policy, now)
            if isinstance(later, Wait):
                self._balance.count_used()
                return later
        return decision

    def after_refusal(
        self, in_flight: InFlight, after: NextStep, step: Step, kind: AnswerKind, status: int
    ) -> NextStep:
        """Return the step after a refused send: a recheck if a record made it final."""
        record = in_flight.record
        if record is None or kind not in _MAY_BE_MISLED:
            return after
        if isinstance(after, Finish) and is_final(step, kind, status, record, self._policy):
            return after
        self._balance.count_refused(too_many=kind is not AnswerKind.CLOSED)
        if not isinstance(after, Finish):
            return after
        in_flight.record = None
        return Recheck(in_flight.progress)

    async def _read(self, in_flight: InFlight) -> "_Waiter | Left | None":
        """Read the contact's record with those of others; None if that is not permitted.

        A probe must not wait for others: they wait for the end of the halt, and so for it.
        """
        if not self._is_permitted or self._pool.is_probe(in_flight.id):
            return None
        waiter = _Waiter(in_flight)
        self._waiters.append(waiter)
        if self._is_full():
            self._pool.put_first(Step.CHECK_MANY)
        try:
            if self._waiters[0] is waiter or await waiter.leads:
                left = await self._lead(waiter)
                if left is not None:
                    return left
        finally:
            self._leave(waiter)
        return waiter

    def _is_full(self) -> bool:
        """Return True if the sends that are left last about until a batch's answer comes."""
        population = self.population()
        left = population - len(self._waiters)
        if left > MOST_LEFT * min(population, self._size()):
            return False
        sends = sum(client.pacer.rate for client in self._pool.clients) * self._answer_seconds
        return left <= 2 * sends  # as many are on their way as are answered meanwhile

    def _is_checked_individually(self, in_flight: InFlight) -> bool:
        """Return True if a record was of no use to the contact before, or must be verified.

        Records that lag further than is assumed must not keep a contact waiting to the end.
        """
        if in_flight.id in self._without_record:
            return True
        progress = in_flight.progress
        since = progress.not_ended_since or progress.engaged_since
        if since is None:
            return False
        waited = self._clock.time() - since
        is_long = waited > self._policy.reconcile.max_lag
        return is_long and self._jitter() < VERIFIED_SHARE

    def _sufficient(self, waiter: _Waiter) -> Conversation | None:
        """Return the record that a waiter got; None if it is not enough for the decision."""
        in_flight, record = waiter.in_flight, waiter.conversation
        rules, now = self._requester.rules, self._clock.time()
        if record is not None and is_sufficient(in_flight, record, self._policy, rules, now):
            return replace(record, target=record.target or in_flight.progress.target)
        is_repeat = in_flight.progress != NEW and not in_flight.has_sent
        if waiter.served and (record is None or is_repeat):
            self._note_useless(in_flight)
        return None

    def _note_useless(self, in_flight: InFlight) -> None:
        """Remember that the contact's record was of no use: it is not read again."""
        self._without_record[in_flight.id] = None
        if len(self._without_record) > MOST_REMEMBERED:
            del self._without_record[next(iter(self._without_record))]

    @property
    def _is_permitted(self) -> bool:
        """Whether a batch may be read now, and is worth its cost."""
        return not self._is_cooling_down() and self._balance.permits_batch and self._size() > 1

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
        """Read a batch; `Left` if the leader has left its worker.

        A permit may come at once. So the other workers that got a contact in this turn of the
        event loop take theirs first. A batch that most workers waited for shows that the quota is
        scarce: until its answer comes the few that are left collect for the next one.
        """
        await asyncio.sleep(0)
        while self._large is not None:
            await self._large.wait()
        permit = await self._pool.acquire(Step.CHECK_MANY, leader.in_flight.id)
        self._pool.put_first(None)
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

    def _take(self, limit: int) -> Sequence[_Waiter]:
        """Take the first waiters out of the queue; the leader is the first of them."""
        return [self._waiters.popleft() for _ in range(min(limit, len(self._waiters)))]

    async def _read_batch(self, batch: Sequence[_Waiter], permit: ClientPermit) -> Left | None:
        leader = batch[0].in_flight
        ids = list(dict.fromkeys(w.in_flight.contact.conversation_id for w in batch))
        reply = await self._requester.read_many(leader, permit, ids)
        if not isinstance(reply, Reply):
            return reply if isinstance(reply, Left) else None
        self._answer_seconds = reply.seconds
        kind = classify(Step.CHECK_MANY, reply.result)
        if kind not in _RESOLVED_BY_RETRY:  # an individual read would have met that, too
            self._balance.count_batch()
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
        states = _by_id(answer.conversations or ())
        leader, now = batch[0].in_flight, self._clock.monotonic()
        for waiter in batch:
            in_flight = waiter.in_flight
            conversation = states.get(canonical_id(in_flight.contact.conversation_id))
            in_flight.client, in_flight.sent_at = leader.client, leader.sent_at
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
