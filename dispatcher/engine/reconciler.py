"""Contacts in doubt: a look back comes before anything else happens to them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.doubts import Doubts
from dispatcher.domain.events import InDoubt
from dispatcher.domain.evidence import NEVER_SHOWN, Evidence
from dispatcher.domain.ids import canonical_id
from dispatcher.domain.look_back_plan import COMPANIONS, JUST_AFTER, LookBackPlan
from dispatcher.domain.next_step import Defer, after_absence
from dispatcher.domain.reconciliation import MessageFound, Verdict, judge
from dispatcher.domain.status import Reason, Resolution, Status, Step
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.due_times import NEVER, DueTimes
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.look_back import LookBack, LookBackReader
from dispatcher.engine.platform_time import PlatformTime
from dispatcher.engine.transition_writer import TransitionWriter
from dispatcher.ports import Clock, EventSink, InDoubtContact, Ledger

CLOCK_SECONDS = 5.0
"""The longest sleep before the clock is read again: the wall clock may have been set."""
IDLE_SECONDS = 0.25
"""How often it is checked whether messages are still sent, while that decides about a look."""


@dataclass(slots=True, eq=False)
class Reconciler:
    """Settles contacts in doubt that are found, frees those proved absent, parks the others."""

    pool: ClientPool
    look_backs: LookBackReader
    transitions: TransitionWriter
    ledger: Ledger
    events: EventSink
    clock: Clock
    platform_time: PlatformTime
    due_times: DueTimes
    policy: DecisionPolicy
    plan: LookBackPlan
    expects_more: Callable[[], bool] = lambda: True
    """Whether more contacts may come to be in doubt, because messages are still sent."""
    _expecting: bool = field(default=True, init=False)
    _waiting_since: dict[int, float] = field(default_factory=dict, init=False)
    _looked_for: set[int] = field(default_factory=set, init=False)
    _looking_back: bool = field(default=False, init=False)
    _write_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def next_look_back(self) -> float:
        """When the next look back is planned (seconds since the epoch); inf if none is."""
        planned = self.due_times.next_look_back
        outdated = planned != NEVER and self._expecting and not self.expects_more()
        return 0.0 if self._looking_back or outdated else planned

    def describe(self, doubts: Doubts) -> Doubts:
        """Return the campaign's contacts in doubt with what they wait for, and until when."""
        now, reach = self.platform_time.now(), self.look_backs.analytics_watermark
        since = min(self._waiting_since.values(), default=now)
        return replace(
            doubts.judged_by(self.policy.reconcile),
            records_reach=None if reach == NEVER_SHOWN else reach,
            parked_at=since + self.policy.reconcile.give_up_seconds,
        )

    async def run(self) -> None:
        """Look back for contacts as they are due; ends when it is cancelled."""
        self.plan.began_at = self.platform_time.now()
        while True:
            await self._until_due()
            self._looking_back = True
            try:
                await self._round()
            finally:
                self._looking_back = False

    async def stop_writing(self) -> None:
        """Wait until the verdicts of a look back are written, and prevent further writes.

        The lock is never released.
        """
        await self._write_lock.acquire()

    async def _until_due(self) -> None:
        """Wait until a look back is due. In a drain, which permits none, wait to be cancelled."""
        due_times = self.due_times
        await self._plan_round()
        while (wait := due_times.next_look_back - self.clock.time()) > 0 or self.pool.draining:
            longest = CLOCK_SECONDS if wait == NEVER else IDLE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, longest) if wait > 0 else None):
                    await due_times.look_back_scheduled.wait()
            if due_times.look_back_scheduled.is_set() or self._expecting != self.expects_more():
                await self._plan_round()

    async def _plan_round(self) -> None:
        """Plan the next look back by the contacts that are in doubt now."""
        due_times, expecting = self.due_times, self.expects_more()
        due_times.look_back_scheduled.clear()
        times = await self.ledger.look_back_times(COMPANIONS)
        at = self.plan.round_at(times, more_expected=expecting) if times else NEVER
        if not due_times.look_back_scheduled.is_set():  # else there is one more by now
            due_times.next_look_back, self._expecting = at, expecting

    async def _round(self) -> None:
        """Look back for all contacts that are due, as many at once as one look back serves."""
        self.plan.last_round = self.clock.time()
        more = True
        while more:
            due = await self.ledger.due_in_doubt(self.look_backs.batch_size, self.clock.time())
            contacts = await self._without_early(due)
            more = len(due) == self.look_backs.batch_size
            served = await self._look_back_for(contacts) if contacts else 0
            more = (more or served < len(contacts)) and not self.pool.draining

    async def _without_early(self, due: Sequence[InDoubtContact]) -> list[InDoubtContact]:
        """Put off contacts for which an answer cannot be new yet; return the others."""
        now, remaining = self.platform_time.now(), []
        for contact in due:
            useful = self._useful_from(contact)
            if useful > now:
                await self.ledger.schedule_look_back(contact.id, self._local(useful))
            else:
                remaining.append(contact)
        return remaining

    def _useful_from(self, contact: InDoubtContact) -> float:
        if contact.send.conversation_id is None:
            return contact.send.at
        return self.plan.useful_from(contact.send, looked=contact.id in self._looked_for)

    async def _look_back_for(self, contacts: Sequence[InDoubtContact]) -> int:
        """Look back for some contacts; return how many of them it served."""
        look_back = await self.look_backs.read(contacts)
        if look_back is None and self.pool.draining:
            return 0
        async with self._write_lock:
            if look_back is None:
                now = self.platform_time.now()
                await asyncio.gather(*(self._put_off(contact, now) for contact in contacts))
            else:
                contacts, at = look_back.contacts, look_back.at
                bounds = (self.policy.reconcile.visible_by(contact.send) for contact in contacts)
                overdue = at - min(bounds)
                verdicts = await self._judge(look_back)
                await asyncio.gather(
                    *(self._act(contact, verdict, at, overdue) for contact, verdict in verdicts)
                )
        return len(contacts)

    async def _judge(self, look_back: LookBack) -> list[tuple[InDoubtContact, Verdict]]:
        """Judge one contact after the other: a message found for one is not another's."""
        policy, shown, contacts = self.policy.reconcile, look_back.shown, look_back.contacts
        linked = [c.send for c in contacts if c.send.conversation_id is not None]
        ids = {send.conversation_id for send in linked if send.conversation_id}
        ids.update(canonical_id(id_) for id_ in [*ids, *(found.id for found in shown)])
        external_ids = {contact.send.external_contact_id for contact in contacts}
        since = min(map(policy.rivals_since, linked), default=look_back.at)
        known = await self.ledger.known_effects(
            sorted(ids), since, sorted(id_ for id_ in external_ids if id_ is not None)
        )
        messages, conversations = set(known.messages), set(known.conversations)
        unsettled = {send.id: send for send in known.unsettled}
        verdicts: list[tuple[InDoubtContact, Verdict]] = []
        for contact in sorted(contacts, key=lambda contact: contact.send.at):
            evidence = Evidence(
                shown, frozenset(messages), frozenset(conversations),
                tuple(unsettled.values()), self.look_backs.analytics_watermark, known.unnamed,
            )  # fmt: skip
            waited = self._waited(contact, look_back.at)
            verdict = judge(contact.send, evidence, policy, look_back.at, waited)
            if isinstance(verdict, MessageFound):
                messages.add(verdict.message_id)
                conversations.add(verdict.conversation_id)
                unsettled.pop(contact.id, None)
            verdicts.append((contact, verdict))
        return verdicts

    async def _act(
        self, contact: InDoubtContact, verdict: Verdict, now: float, overdue: float = 0.0
    ) -> None:
        in_flight = self._in_flight(contact)
        match verdict:
            case None:
                self._looked_for.add(contact.id)
                at = self.plan.next_look(contact.send, now, overdue)
                parked_at = self._parked_at(contact, now)
                at = min(at, parked_at) if parked_at > now else at
                await self.ledger.schedule_look_back(contact.id, self._local(at))
                return
            case MessageFound():
                await self.transitions.settle_found(in_flight, contact.send, verdict)
            case Resolution.PARKED:
                await self.transitions.settle(in_flight, Status.PARKED, Reason.IN_DOUBT)
            case Resolution.ABSENT | Resolution.RESENT:
                await self._send_again(in_flight, verdict)
        resolution = Resolution.FOUND if isinstance(verdict, MessageFound) else verdict
        key, conversation_id = contact.contact.key, contact.contact.conversation_id
        self.events.emit(InDoubt(resolution, contact.send.step, key, conversation_id, ""))
        self._waiting_since.pop(contact.id, None)
        self._looked_for.discard(contact.id)

    async def _send_again(self, in_flight: InFlight, resolution: Resolution) -> None:
        """Return to the state check, as long as the contact has attempts left."""
        after = after_absence(in_flight.progress, self.policy.retry)
        if isinstance(after, Defer):
            await self.transitions.defer(in_flight, after)
            return
        reason = Reason.EXHAUSTED if resolution is Resolution.ABSENT else Reason.IN_DOUBT
        await self.transitions.settle(in_flight, Status.PARKED, reason)

    async def _put_off(self, contact: InDoubtContact, now: float) -> None:
        """Schedule another look back after one that failed; park what waits for too long."""
        waited, policy = self._waited(contact, now), self.policy.reconcile
        if contact.send.conversation_id is None or waited >= policy.give_up_seconds:
            verdict = judge(contact.send, Evidence(), policy, now, waited)
            await self._act(contact, verdict, now)
            return
        hold = self.pool.long_hold_remaining(Step.LOOK_BACK)
        at = self.clock.time() + max(policy.pause(waited / 2), hold)
        await self.ledger.schedule_look_back(contact.id, at)

    def _waited(self, contact: InDoubtContact, now: float) -> float:
        """Seconds since the first look back for the contact; ``now`` by the platform's clock."""
        return now - self._waiting_since.setdefault(contact.id, now)

    def _parked_at(self, contact: InDoubtContact, now: float) -> float:
        """Return when the contact is parked if nothing is proved by then (platform's clock)."""
        since = self._waiting_since.get(contact.id, now)
        give_up_at = since + self.policy.reconcile.give_up_seconds
        return max(give_up_at, self.policy.reconcile.visible_by(contact.send) + JUST_AFTER)

    def _local(self, at: float) -> float:
        """Return a time of the platform's clock by our own."""
        return self.clock.time() - self.platform_time.now() + at

    def _in_flight(self, contact: InDoubtContact) -> InFlight:
        """Return the contact as one in flight, whose time counts from its send."""
        seconds = max(0.0, self.platform_time.now() - contact.send.at)
        started = self.clock.monotonic() - seconds
        return InFlight(contact.id, contact.contact, contact.progress, started)
