"""Keeps a campaign from making contacts final in bulk that are refused for one common cause.

A refusal is held until enough later answers have shown that it is the contact's own. If most
contacts are refused alike the campaign halts: what is held goes back into the ledger, and one
contact at a time is a probe.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace

from dispatcher.domain.answer import Answer
from dispatcher.domain.decided_refusals import NOT_FOUND, decided_kind
from dispatcher.domain.decision import Finish
from dispatcher.domain.events import Halted, Probed, Resumed
from dispatcher.domain.held_refusals import HeldRefusals
from dispatcher.domain.next_step import Defer
from dispatcher.domain.status import HaltReason, RetryReason, Status, Step
from dispatcher.domain.suspects import describe
from dispatcher.domain.suspicion import (
    AnswerGroup,
    RefusalKind,
    SuspicionDetector,
    group_of,
    is_alike,
    refusal_kind,
)
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.send_result import LEFT_WORKER, LeftWorker
from dispatcher.engine.transition_writer import TransitionWriter
from dispatcher.ports import Claim, Clock, EventSink

MAX_PROBE_SECONDS = 3600.0
"""The longest pause between two probes: each further pause is twice the one before."""
AHEAD_SECONDS = 300.0
"""So much earlier than now a contact is due that is put back: a next run takes it first, and so
knows of the suspicion after one refusal."""
LEAST_QUIET_SECONDS = 2.0
"""The shortest time without an answer after which what is held is judged by the answers so far."""
ALL = 1 << 30
"""More contacts than can be in flight."""


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A refusal that is not final yet."""

    in_flight: InFlight
    finish: Finish
    step: Step
    answer: Answer | None


class RefusalGuard:
    """Holds, settles and puts back what is refused in one campaign.

    Without ``enabled`` every refusal is final at once. ``accepted`` are keys of kinds that a person
    has said to be the contacts' own: such refusals are final at once.
    """

    def __init__(
        self, transitions: TransitionWriter, events: EventSink, clock: Clock, probe_seconds: float,
        *, enabled: bool, accepted: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._transitions = transitions
        self._events = events
        self._clock = clock
        self._enabled = enabled
        self._probe_seconds = self._pause = probe_seconds
        self._detector = SuspicionDetector()
        self._held = HeldRefusals[_Held]()
        self.judged: list[_Held] = []
        """Refusals that have turned out to be the contacts' own, and are not final yet."""
        self._approved: set[RefusalKind] = set()
        self._accepted = frozenset(accepted)
        self._kinds_under_test: dict[str, AnswerGroup] = {}
        self._cleared = False
        self._probing = self._probe_refused = False
        self._next_probe = self._last_answer = 0.0
        self.halt_kind: RefusalKind | None = None
        """What the campaign is halted for; None while it is not."""
        self.halted_since = 0.0
        """When the halt began (monotonic seconds)."""

    @property
    def holding(self) -> int:
        """The number of contacts whose refusal is not final yet."""
        return len(self.judged) + self._held.waiting

    # what happens to contacts

    def count_accepted(self, group: AnswerGroup) -> None:
        """Count an answer that is no refusal; the halt ends if it proves that the cause is gone.

        `Local.RULES` is such an answer for a contact that no rule has ended.
        """
        if not self._enabled:
            return
        self._detector.accept(group)
        if self.halt_kind is not None and self.halt_kind.step is group:
            self._resume()
        if self._kinds_under_test and any(
            is_alike(group, one) for one in self._kinds_under_test.values()
        ):
            self._kinds_under_test.clear()
            self._cleared = True
        if self._held.waiting:
            self._last_answer = self._clock.monotonic()
            self.judged += self._held.take_judged(group, self._detector)

    def concerns(self, decision: object) -> bool:
        """Return True if a decision without a send may have a common cause."""
        return isinstance(decision, Finish) and decided_kind(decision.reason) is not None

    async def refuse(
        self, in_flight: InFlight, finish: Finish, step: Step, answer: Answer | None
    ) -> LeftWorker:
        """Take a contact that is refused: hold it, put it back, or make it final."""
        kind = _kind(in_flight, finish, step, answer) if self._enabled else None
        if kind is None:
            return await self._transitions.settle(
                in_flight, finish.status, finish.reason, step, answer
            )
        if kind in self._approved or (self._accepted and kind.key in self._accepted):
            self._detector.accept(kind.step)
            return await self._transitions.settle(
                in_flight, finish.status, finish.reason, step, answer
            )
        suspicious = self._detector.refuse(kind) or kind.key in self._kinds_under_test
        self._last_answer, self._probe_refused = self._clock.monotonic(), True
        if in_flight.intended:
            await self._transitions.retract(in_flight)
        if suspicious and self.halt_kind is None:
            self._halt(kind)
            await self._put_back(kind)
        if self.halt_kind is not None:
            return await self._defer(in_flight, kind)
        self._held.hold(_Held(in_flight, finish, step, answer), kind, self._detector)
        self.judged += self._held.take_judged(kind.step, self._detector)
        return LEFT_WORKER

    async def settle_judged(self) -> None:
        """Make the contacts final whose refusals have turned out to be their own."""
        while self.judged:
            held = self.judged.pop()
            finish = held.finish
            await self._transitions.settle(
                held.in_flight, finish.status, finish.reason, held.step, held.answer
            )

    async def conclude(self) -> bool:
        """Judge what is held by the answers so far, because no more come for now.

        Return True if that halts the campaign.
        """
        kind = self._detector.majority() if self._held.waiting else None
        halts = kind is not None and self.halt_kind is None
        if kind is not None and halts:
            self._halt(kind)
            await self._put_back(kind)
        self.judged += self._held.take_all()
        await self.settle_judged()
        return halts

    def is_quiet(self, seconds: float) -> bool:
        """Return True if something is held, and no answer came for so long."""
        quiet = self._clock.monotonic() - self._last_answer
        return self.holding > 0 and quiet >= max(seconds, LEAST_QUIET_SECONDS)

    # what the campaign may take

    @property
    def allows_prefetch(self) -> bool:
        """Whether it neither halts the campaign nor tests one contact alone."""
        return self.halt_kind is None and not self._kinds_under_test

    def room(self, in_flight: int) -> int:
        """Return how many more contacts may be taken; ``in_flight`` are those taken already."""
        if not self._enabled:
            return ALL
        if self.halt_kind is None:
            return (1 if self._kinds_under_test else self._detector.room()) - in_flight
        if in_flight:
            return 0
        now = self._clock.monotonic()
        if self._probing:
            self._end_probe(now)
        return 1 if now >= self._next_probe else 0

    def excess_claims(self, claims: list[Claim]) -> list[Claim]:
        """Return those of the claims that must not be taken now; note that the others are.

        They are the last ones. A contact that an earlier run put back for a suspicion is tested
        alone.
        """
        if not self._enabled or not claims:
            return []
        if self.halt_kind is not None:
            self._probing, self._probe_refused = True, False
            self._events.emit(Probed(HaltReason.SUSPICIOUS))
            return []
        for claim in claims:
            suspected = claim.progress.suspected
            if suspected is not None and not self._cleared and suspected not in self._accepted:
                self._kinds_under_test[suspected] = group_of(suspected)
        return claims[1:] if self._kinds_under_test else []

    def approve(self) -> RefusalKind | None:
        """Go on as a person says: such refusals are final from now on; None if it did not halt."""
        kind = self.halt_kind
        if kind is not None:
            self._approved.add(kind)
            self._resume()
        return kind

    # halting

    def _halt(self, kind: RefusalKind) -> None:
        begun = self._detector.begun
        self._pause = self._probe_seconds if begun else self._pause
        self.halt_kind, self.halted_since = kind, self._clock.monotonic()
        self._next_probe = self.halted_since + self._pause
        self._probing = False
        self._kinds_under_test.clear()
        self._events.emit(Halted(HaltReason.SUSPICIOUS, describe(kind)))

    def _resume(self) -> None:
        self.halt_kind, self._cleared, self._probing = None, True, False
        self._kinds_under_test.clear()
        self._detector = SuspicionDetector()
        seconds = self._clock.monotonic() - self.halted_since
        self._events.emit(Resumed(HaltReason.SUSPICIOUS, seconds))
        self._transitions.due_times.schedule(self._clock.time())

    def _end_probe(self, now: float) -> None:
        self._probing = False
        if not self._probe_refused:  # it showed nothing: another contact can be the probe
            return
        self._pause = min(self._pause * 2.0, MAX_PROBE_SECONDS)
        self._next_probe = now + self._pause

    async def _put_back(self, kind: RefusalKind) -> None:
        """Put back what is held; the refusals that are not alike are tried again, too."""
        held = self._held.take_all()
        await asyncio.gather(*(self._defer(one.in_flight, kind) for one in held))

    async def _defer(self, in_flight: InFlight, kind: RefusalKind) -> LeftWorker:
        suspected = replace(in_flight.progress, suspected=kind.key, open_next=False)
        later = Defer(0.0, RetryReason.SUSPICIOUS, suspected)
        return await self._transitions.defer(in_flight, later, ahead=AHEAD_SECONDS)


def _kind(
    in_flight: InFlight, finish: Finish, step: Step, answer: Answer | None
) -> RefusalKind | None:
    """Return the kind of a refusal that may have a common cause; None if it has its own meaning."""
    if answer is None:
        return decided_kind(finish.reason)
    if finish.status is not Status.REJECTED and answer.status != NOT_FOUND:
        return None
    contact = in_flight.contact
    ids = (contact.conversation_id, in_flight.external_contact_id, contact.key)
    return refusal_kind(step, answer.status, in_flight.redact(answer.words), ids)
