"""Batches state checks: contacts that wait for one share one request."""

from collections.abc import Callable
from dataclasses import replace

from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import DecisionPolicy, Finish, Open, Wait, decide
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.next_step import Jitter, NextStep, Recheck
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Step
from dispatcher.engine.batch_balance import BatchBalance
from dispatcher.engine.batch_queue import BatchQueue, Waiter
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.record_rules import (
    is_final,
    is_sufficient,
    may_share,
    may_wait_for_end,
)
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.send_result import LeftWorker

VERIFIED_SHARE = 0.2
"""The share of looks at sessions that were waited for long that are made individually."""
MOST_REMEMBERED = 10_000
"""The contacts whose records are known to be of no use."""
_MAY_BE_MISLED = frozenset(
    {AnswerKind.CLOSED, AnswerKind.CONFLICT, AnswerKind.STALE, AnswerKind.REFUSED}
)
"""Refusals of a send whose cause may be that it rested on a record."""


class StateBatcher:
    """Reads the states of several contacts in one request, as the platform records them.

    What a record is enough for says `record_rules`; for everything else a state is read
    individually. ``size`` returns how many states one request may read. ``jitter`` decides which
    sessions that were waited for long are checked individually. ``recipients`` decides whether a
    record is enough for the recipient of a send.
    """

    def __init__(
        self, requester: Requester, refusals: RefusalHandler, policy: DecisionPolicy,
        size: Callable[[], int], jitter: Jitter,
    ) -> None:  # fmt: skip
        self._recipients = requester.recipients
        self._policy = policy
        self._clock = requester.clock
        self._jitter = jitter
        self._balance = BatchBalance()
        self._without_record: dict[int, None] = {}
        self.queue = BatchQueue(requester, refusals, self._balance, size)
        """The contacts that wait for a batch."""

    async def read_state(self, in_flight: InFlight) -> Conversation | LeftWorker | None:
        """Return a state that a decision may rest on; None if it has to be read individually."""
        waiter = None
        if may_share(in_flight, self._policy) and not self._is_checked_individually(in_flight):
            waiter = await self.queue.read(in_flight)
        if isinstance(waiter, LeftWorker):
            return waiter
        in_flight.record = None if waiter is None else await self._sufficient(waiter)
        if waiter is None or in_flight.record is None:
            self._balance.count_individual()
            return None
        self._balance.count_used()
        in_flight.record_state(in_flight.record, waiter.read_at)
        return in_flight.record

    async def before_open(
        self, in_flight: InFlight, decision: Open
    ) -> Open | Wait | LeftWorker | None:
        """Return what is next for a contact after a refusal that said that its session is closed.

        If its record shows the session closed and not ended, it is a `Wait`; if it shows it open,
        None: the state is read. Otherwise it is ``decision``, an open without a state check.
        """
        if not may_wait_for_end(in_flight, self._policy):
            return decision
        if self._is_checked_individually(in_flight):
            return decision
        waiter = await self.queue.read(in_flight)
        if waiter is None or isinstance(waiter, LeftWorker):
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

    async def _sufficient(self, waiter: Waiter) -> Conversation | None:
        """Return the record that a waiter got; None if it is not enough for the decision."""
        in_flight, record = waiter.in_flight, waiter.conversation
        if record is not None and self._is_sufficient(in_flight, record):
            known = replace(record, target=record.target or in_flight.progress.target)
            if await self._recipients.await_address_proof(known):
                return known
        is_repeat = in_flight.progress != NEW and not in_flight.has_sent
        if waiter.served and (record is None or is_repeat):
            self._note_useless(in_flight)
        return None

    def _is_sufficient(self, in_flight: InFlight, record: Conversation) -> bool:
        may_send = self._recipients.shows_address(record.target, record.address)
        now = self._clock.time()
        return is_sufficient(in_flight, record, self._policy, now, may_send=may_send)

    def _note_useless(self, in_flight: InFlight) -> None:
        """Remember that the contact's record was of no use: it is not read again."""
        self._without_record[in_flight.id] = None
        if len(self._without_record) > MOST_REMEMBERED:
            del self._without_record[next(iter(self._without_record))]
