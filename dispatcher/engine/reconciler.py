"""Contacts in doubt: the platform is asked what became of them before anything else happens."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.events import InDoubt
from dispatcher.domain.evidence import NEVER_SHOWN, DeliveryWitness, Evidence, newest_shown
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.next_step import SUCCESS, Settle, after_absence
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.domain.reconciliation import (
    LookAgain,
    MessageAbsent,
    MessageFound,
    Park,
    Resend,
    Verdict,
    judge,
)
from dispatcher.domain.status import Reason, Resolution, Status, Step
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.completion import NEVER, Completer, InFlight
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.ports import MAX_LOOK_BACK_IDS, Claim, InDoubtContact, LookBackQuery

WITNESSES = 3
"""Messages that tell how far the look back has caught up, for each of two moments."""
MAX_BATCH = MAX_LOOK_BACK_IDS - 2 * WITNESSES
"""Contacts that one look back serves."""
MIN_BATCH = 10
"""So many it serves where the platform had too much to tell about more."""
CLOCK_SECONDS = 5.0
"""The longest sleep before the clock is looked at again: it may have been set."""

_NAMES = count(-1, -1)
"""Who asks, for halts and permits; the ledger's numbers of contacts are above zero."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One look back: when it was asked for, by the platform's clock, and what it showed."""

    at: float
    shown: Sequence[PastConversation]


class Reconciler:
    """Settles contacts in doubt that are found, frees those proved absent, parks the others."""

    def __init__(
        self, turnstile: ClientPool, desk: Completer, rules: DecisionPolicy, probe_seconds: float
    ) -> None:
        self._turnstile = turnstile
        self._desk = desk
        self._rules = rules
        self._policy = rules.reconcile
        self._exchange = Requester(turnstile, desk)
        self._refusals = RefusalHandler(turnstile, desk, probe_seconds)
        self._name = next(_NAMES)
        self._caught_up = NEVER_SHOWN
        self._most = MAX_BATCH
        self._since: dict[int, float] = {}
        self._busy = False
        self._acting = asyncio.Lock()

    @property
    def next_look(self) -> float:
        """When the next contact is looked for (seconds since the epoch); inf if none is."""
        return 0.0 if self._busy else self._desk.next_look_back

    async def run(self) -> None:
        """Look for contacts as they are due; ends when it is cancelled."""
        while True:
            await self._until_due()
            self._busy = True
            try:
                await self._round()
            finally:
                self._busy = False

    async def finish(self) -> None:
        """Wait until what a look back showed is written; nothing more is written after that."""
        await self._acting.acquire()

    async def _until_due(self) -> None:
        desk = self._desk
        while (wait := desk.next_look_back - desk.clock.time()) > 0 or self._turnstile.draining:
            desk.in_doubt_event.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, CLOCK_SECONDS) if wait > 0 else None):
                    await desk.in_doubt_event.wait()

    async def _round(self) -> None:
        desk = self._desk
        due = await desk.ledger.due_in_doubt(self._most, desk.clock.time())
        if due and not await self._look_for(due):
            return
        desk.next_look_back = NEVER
        at = await desk.ledger.next_look_back()
        desk.schedule_look_back(NEVER if at is None else at)

    async def _look_for(self, due: Sequence[InDoubtContact]) -> bool:
        """Look for some contacts; False if the run drains instead."""
        witnesses = await self._witnesses(due)
        look = await self._look(due, witnesses)
        if look is None:
            if self._turnstile.draining:
                return False
            await self._put_off(due)
            return True
        self._most = min(MAX_BATCH, self._most * 2)
        self._caught_up = max(self._caught_up, newest_shown(look.shown, witnesses))
        async with self._acting:
            verdicts = await self._judged(due, look)
            await asyncio.gather(
                *(self._act(doubt, verdict, look.at) for doubt, verdict in verdicts)
            )
        return True

    async def _witnesses(self, due: Sequence[InDoubtContact]) -> list[DeliveryWitness]:
        """Choose messages that show how far the look back is: after the first, the last bound."""
        now = self._desk.platform_time()
        bounds = [
            bound
            for doubt in due
            if doubt.send.conversation_id is not None
            and (bound := self._policy.visible_by(doubt.send)) < now
            and bound >= self._caught_up
        ]
        found: dict[DeliveryWitness, None] = {}
        for after in {min(bounds), max(bounds)} if bounds else ():
            found.update(dict.fromkeys(await self._desk.ledger.witnesses(after, WITNESSES)))
        return list(found)

    async def _look(
        self, due: Sequence[InDoubtContact], witnesses: Sequence[DeliveryWitness]
    ) -> _Look | None:
        asked = list(_asked(due, self._policy.clock_skew))
        since = min((each.since for each in asked), default=0.0)
        asked += [LookBackQuery(each.conversation_id, since) for each in witnesses]
        if not asked:
            return _Look(self._desk.platform_time(), ())
        work = InFlight(Claim(self._name, Contact("", "", "")), self._desk.clock.monotonic())
        try:
            reply = await self._exchange.look_back(work, lambda platform: platform.look_back(asked))
            if reply is None:
                return None
            result, kind = reply.result, classify(Step.LOOK_BACK, reply.result)
            if not isinstance(result, Answer):
                return None
            if kind is AnswerKind.ACCEPTED and result.past_conversations is not None:
                work.client.breaker.record_success(work.id, Step.LOOK_BACK, work.sent_at)
                return _Look(self._desk.platform_time() - reply.seconds, result.past_conversations)
            if result.from_platform and result.status // 100 == SUCCESS:
                self._most = max(MIN_BATCH, len(due) // 2)
            work.token = reply.token
            await self._refusals.handle(work, Step.LOOK_BACK, kind, result)
            return None
        finally:
            self._turnstile.release_probe(work.id)

    async def _judged(
        self, due: Sequence[InDoubtContact], look: _Look
    ) -> list[tuple[InDoubtContact, Verdict]]:
        """Judge each by itself; what is found for one is no other's."""
        linked = [doubt.send for doubt in due if doubt.send.conversation_id is not None]
        concerned = {each.conversation_id for each in linked if each.conversation_id}
        concerned.update(each.id for each in look.shown)
        people = {each.send.external_contact_id for each in due}
        since = min(map(self._policy.rivals_since, linked), default=look.at)
        known = await self._desk.ledger.known_effects(
            sorted(concerned), since, sorted(each for each in people if each is not None)
        )
        messages, conversations = set(known.messages), set(known.conversations)
        unsettled = {each.id: each for each in known.unsettled}
        verdicts: list[tuple[InDoubtContact, Verdict]] = []
        for doubt in sorted(due, key=lambda each: each.send.at):
            evidence = Evidence(
                look.shown, frozenset(messages), frozenset(conversations),
                tuple(unsettled.values()), self._caught_up, known.unnamed,
            )  # fmt: skip
            waited = look.at - self._since.setdefault(doubt.id, look.at)
            verdict = judge(doubt.send, evidence, self._policy, look.at, waited)
            if isinstance(verdict, MessageFound):
                messages.add(verdict.message_id)
                conversations.add(verdict.conversation_id)
                unsettled.pop(doubt.id, None)
            verdicts.append((doubt, verdict))
        return verdicts

    async def _act(self, doubt: InDoubtContact, verdict: Verdict, now: float) -> None:
        match verdict:
            case LookAgain():
                await self._desk.ledger.schedule_look_back(doubt.id, self._next(doubt, now))
                return
            case MessageFound():
                await self._desk.settle_found(self._work(doubt), doubt.send, verdict)
                self._tell(doubt, Resolution.FOUND)
            case Park():
                await self._desk.settle(self._work(doubt), Status.PARKED, Reason.IN_DOUBT)
                self._tell(doubt, Resolution.PARKED)
            case MessageAbsent():
                await self._again(doubt, Reason.EXHAUSTED)
                self._tell(doubt, Resolution.ABSENT)
            case Resend():
                await self._again(doubt, Reason.IN_DOUBT)
                self._tell(doubt, Resolution.RESENT)
        self._since.pop(doubt.id, None)

    def _again(self, doubt: InDoubtContact, exhausted: Reason) -> Awaitable[None]:
        """Go back to the state check; a send that fails again and again has an end."""
        after = after_absence(doubt.progress, self._rules.retry)
        if isinstance(after, Settle):
            return self._desk.settle(self._work(doubt), Status.PARKED, exhausted)
        return self._desk.defer(self._work(doubt), after)

    def _next(self, doubt: InDoubtContact, now: float) -> float:
        """Return when to look again: at growing intervals, and as soon as the bound is over."""
        pause = self._policy.pause(now - self._since.setdefault(doubt.id, now))
        left = self._policy.visible_by(doubt.send) - now
        if left > 0:
            pause = min(pause, left + 0.001)
        return self._desk.clock.time() + pause

    async def _put_off(self, due: Sequence[InDoubtContact]) -> None:
        """Look later: the platform told nothing. Who waits in vain does not wait for ever."""
        now = self._desk.platform_time()
        async with self._acting:
            await asyncio.gather(*(self._without_look(doubt, now) for doubt in due))

    async def _without_look(self, doubt: InDoubtContact, now: float) -> None:
        waited = now - self._since.setdefault(doubt.id, now)
        if doubt.send.conversation_id is None or waited >= self._policy.give_up_seconds:
            verdict = judge(doubt.send, Evidence(), self._policy, now, waited)
            await self._act(doubt, verdict, now)
            return
        held = self._turnstile.long_hold_remaining(Step.LOOK_BACK)
        at = max(self._next(doubt, now), self._desk.clock.time() + held)
        await self._desk.ledger.schedule_look_back(doubt.id, at)

    def _work(self, doubt: InDoubtContact) -> InFlight:
        """Take a contact in hand; what it took counts from its send."""
        gone_by = max(0.0, self._desk.platform_time() - doubt.send.at)
        claim = Claim(doubt.id, doubt.contact, doubt.progress)
        return InFlight(claim, self._desk.clock.monotonic() - gone_by)

    def _tell(self, doubt: InDoubtContact, resolution: Resolution) -> None:
        contact, step = doubt.contact, doubt.send.step
        self._desk.events.emit(InDoubt(resolution, step, contact.key, contact.conversation_id, ""))


def _asked(due: Sequence[InDoubtContact], skew: float) -> Iterator[LookBackQuery]:
    for intended in (doubt.send for doubt in due):
        if intended.conversation_id is not None:
            yield LookBackQuery(
                intended.conversation_id,
                intended.at - skew,
                continued=intended.step is Step.OPEN,
                external_contact_id=intended.external_contact_id,
            )
