"""The dry run: reads the whole source and checks states; writes and sends nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Protocol

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decided_refusals import decided_kind
from dispatcher.domain.decision import DecisionPolicy, Finish
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.first_call_forecast import FirstCallForecast
from dispatcher.domain.forecast import (
    Estimate,
    Forecast,
    SampleTotals,
    forecast,
    forecast_unchecked,
    forecast_without_states,
)
from dispatcher.domain.foreseen_halt import ForeseenHalt, HaltForecast
from dispatcher.domain.look_schedule import waits
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.reservoir import Reservoir
from dispatcher.domain.status import Reason, Status, Step
from dispatcher.domain.suspicion import Local, RefusalKind, refusal_kind
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.ports import Batch, Claim, Clock, Platform, Source, Stream


class LedgerView(Protocol):
    """The ledger before the run. Reading it changes nothing."""

    @property
    def in_doubt(self) -> int:
        """How many sends have no known outcome: contacts that are sending or in doubt."""
        ...

    @property
    def has_contacts(self) -> bool:
        """Whether the campaign has had a contact, whatever became of it."""
        ...

    def streams(self) -> Mapping[str, Stream]:
        """Return how far each stream was read, by fingerprint."""
        ...

    def take_new(self, contacts: Sequence[Contact]) -> Sequence[Contact]:
        """Return those whose keys are new: not in the ledger, and not passed here before."""
        ...

    def mark_reached(self, external_contact_id: str) -> bool:
        """Mark the person as reached.

        Return True if the campaign has reached the person, or the id was passed here before.
        """
        ...

    def plan_message(self, external_contact_id: str, cap: int, since: float) -> bool:
        """Plan a message to the person.

        Return False if the person got ``cap`` messages in all campaigns since then (seconds since
        the epoch), or will have got them by what was planned here.
        """
        ...

    def waiting(self) -> Iterator[Claim]:
        """Yield the contacts of the ledger that a run would claim, without their messages."""
        ...


@dataclass(frozen=True, slots=True)
class DryRunOptions:
    """How many states are read: ``sample`` contacts, None for all, 0 for none.

    ``workers`` is how many reads are under way at most, ``ended_after`` how many seconds a
    closed session is assumed to take until it is ended. ``rules`` are the campaign's: those
    about people are applied to what the rows and the ledger contain. ``halt_suspicious`` says
    whether the run would halt when most contacts are refused alike. ``first_calls`` forecasts the
    first calls of a run that learns them; None: a run reads every state first.
    """

    sample: int | None
    workers: int
    ended_after: float
    rules: CampaignRules = field(default_factory=CampaignRules)
    halt_suspicious: bool = True
    first_calls: FirstCallForecast | None = None


@dataclass(slots=True)
class ScanProgress:
    """Counts of what was read so far.

    ``waiting`` are contacts that were in the ledger before, ``suspected`` those of them that an
    earlier run put back since most were refused alike. ``to_check`` are contacts whose decision
    needs a state, ``later`` those of them that are not due yet, by their rows or by the rules,
    ``last_due`` (seconds since the epoch) the latest due time among these. ``checked`` are those
    whose state was read, ``unread`` those whose state could not be read.
    """

    rows: int = 0
    contacts: int = 0
    duplicates: int = 0
    filtered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    suspected: int = 0
    later: int = 0
    last_due: float = 0.0
    to_check: int = 0
    checked: int = 0
    unread: int = 0
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class DryRunReport:
    """What a run would do if it started now."""

    progress: ScanProgress
    estimate: Estimate
    in_doubt: int
    longest_wait: float
    """The longest wait of a contact, for its session or its due time, in seconds at least."""
    halt: ForeseenHalt | None = None
    """Why the run would halt before it is done, if it would; the estimate is without the halt."""


class DryRun:
    """Makes one dry run. ``randbelow`` returns a random number below its argument.

    Raises what the source and `PlatformReader` raise.
    """

    def __init__(
        self, source: Source, ledger: LedgerView, policy: DecisionPolicy, clock: Clock,
        options: DryRunOptions, randbelow: Callable[[int], int],
    ) -> None:  # fmt: skip
        self._source = source
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._options = options
        self._randbelow = randbelow
        self._unchecked = SampleTotals()
        self._checked = SampleTotals()
        self._halt = HaltForecast()
        self.progress = ScanProgress()
        """How far the run has come."""

    async def run(self, platform: Platform | None, reader: PlatformReader | None) -> DryRunReport:
        """Read the source and the ledger, check states as the options say, and sum up."""
        async with aclosing(self._contacts_to_check()) as claims:
            if platform is None or reader is None or self._options.sample == 0:
                async for _ in claims:
                    pass
                estimate = forecast_without_states(self.progress.to_check)
            else:
                await self._check_all(self._sampled(claims), platform, reader)
                estimate = self._checked.estimate(self.progress.to_check)
        until_due = max(0.0, self.progress.last_due - self._clock.time())
        wait = max(until_due, self._checked.seconds)
        halt = self._halt.halt() if self._options.halt_suspicious else None
        return DryRunReport(
            self.progress, estimate.plus(self._unchecked), self._ledger.in_doubt, wait, halt
        )

    async def _contacts_to_check(self) -> AsyncGenerator[Claim, None]:
        """Yield every contact whose state a run would read; count the others."""
        for claim in self._ledger.waiting():
            self.progress.waiting += 1
            if claim.progress.suspected is not None:
                self.progress.suspected += 1
                self._halt.recall(claim.progress.suspected)
            if self._count(claim):
                yield claim
        async with aclosing(self._source.batches(self._ledger.streams())) as batches:
            async for batch in batches:
                for claim in (Claim(0, contact) for contact in self._new_contacts(batch)):
                    if self._count(claim):
                        yield claim
        self.progress.at_end = True

    def _new_contacts(self, batch: Batch) -> Sequence[Contact]:
        progress, new = self.progress, self._ledger.take_new(batch.contacts)
        progress.rows += batch.rows
        progress.contacts += len(new)
        progress.duplicates += len(batch.contacts) - len(new)
        progress.filtered += batch.filtered
        progress.rejected.update(row.reason for row in batch.rejected)
        return new

    def _count(self, claim: Claim) -> bool:
        """Count a contact as what a run would make of it; return True if it reads its state."""
        now = self._clock.time()
        unchecked = forecast_unchecked(claim.contact, claim.progress, self._policy, now)
        after = unchecked or self._apply_rules(claim, now)
        kind = decided_kind(after.reason) if isinstance(after, Forecast) else None
        if kind is not None:
            self._halt.refuse(kind)
        elif not waits(claim.progress):
            self._halt.accept(Local.RULES)
        if isinstance(after, Forecast):
            self._unchecked.add(after)
            return False
        due = max(claim.contact.not_before or now, now + (after.seconds if after else 0.0))
        if due > now:
            self.progress.later += 1
            self.progress.last_due = max(self.progress.last_due, due)
        self.progress.to_check += 1
        return True

    def _apply_rules(self, claim: Claim, now: float) -> Forecast | Defer | None:
        """Apply the campaign's rules, as far as they need no state check."""
        rules, external_id = self._options.rules, claim.contact.external_contact_id
        after = rules.check(claim.contact, None, claim.progress, now)
        if isinstance(after, Finish):
            return Forecast(after.status, after.reason)
        if rules.one_per_person and external_id and self._ledger.mark_reached(external_id):
            return Forecast(Status.SKIPPED, Reason.SAME_PERSON)
        if rules.cap and external_id and not self._within_cap(external_id, now):
            return Forecast(Status.SKIPPED, Reason.CAPPED, checks=1)
        return after

    def _within_cap(self, external_id: str, now: float) -> bool:
        limits = self._options.rules.limits(now)
        return self._ledger.plan_message(external_id, limits.cap, limits.cap_since)

    async def _sampled(self, claims: AsyncIterator[Claim]) -> AsyncGenerator[Claim, None]:
        if self._options.sample is None:
            async for claim in claims:
                yield claim
            return
        reservoir: Reservoir[tuple[int, Claim]] = Reservoir(self._options.sample, self._randbelow)
        async for claim in claims:
            reservoir.offer((reservoir.offered, claim))
        for _, claim in sorted(reservoir.kept, key=itemgetter(0)):  # a run has them in this order
            yield claim

    async def _check_all(
        self, claims: AsyncGenerator[Claim, None], platform: Platform, reader: PlatformReader
    ) -> None:
        turn = asyncio.Lock()

        async def work() -> None:
            while True:
                async with turn:
                    claim = await anext(claims, None)
                if claim is None:
                    return
                await self._check(claim, platform, reader)

        workers = [asyncio.ensure_future(work()) for _ in range(self._options.workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await claims.aclose()

    async def _check(self, claim: Claim, platform: Platform, reader: PlatformReader) -> None:
        conversation_id = claim.contact.conversation_id
        answer = await reader.read(Step.CHECK, lambda: platform.check(conversation_id))
        if answer is None:
            self.progress.unread += 1
            return
        kind = classify(Step.CHECK, answer)
        expected = self._forecast(claim.contact, claim.progress, answer, kind)
        self._checked.add(expected)
        self.progress.checked += 1
        self._foresee_halt(claim, answer, kind, expected)

    def _foresee_halt(
        self, claim: Claim, answer: Answer, kind: AnswerKind, expected: Forecast
    ) -> None:
        """Count a state check as a run does that halts when most are refused alike."""
        if kind is AnswerKind.REFUSED:
            self._halt.refuse(_refusal(claim.contact, answer))
        elif kind in (AnswerKind.ACCEPTED, AnswerKind.GONE):
            will_wait = expected.wait_reason is not None
            refusal = None if will_wait else decided_kind(expected.reason)
            if refusal is not None:
                self._halt.refuse(refusal)
            elif not (will_wait and waits(claim.progress)):
                self._halt.accept(Step.CHECK)

    def _forecast(
        self, contact: Contact, progress: Progress, answer: Answer, kind: AnswerKind
    ) -> Forecast:
        conversation = answer.conversation
        if kind is AnswerKind.FORBIDDEN:
            return Forecast(Status.PARKED, Reason.FORBIDDEN_CONTACT, checks=2)
        if kind is AnswerKind.GONE:
            conversation = Conversation(contact.conversation_id, State.GONE)
        if conversation is None:
            return Forecast(Status.REJECTED, Reason.REFUSED, checks=1)
        now, ended_after = self._clock.time(), self._options.ended_after
        expected = forecast(contact, conversation, progress, self._policy, now, ended_after)
        first_calls = self._options.first_calls
        if first_calls is None or progress != NEW:
            return expected
        return first_calls.adapt(expected, contact, conversation, now)


def _refusal(contact: Contact, answer: Answer) -> RefusalKind:
    """Return the kind of a state check's refusal; its words may have what is the contact's own."""
    ids = (contact.conversation_id, contact.external_contact_id, contact.key)
    return refusal_kind(Step.CHECK, answer.status, answer.words, (*ids, contact.address))
