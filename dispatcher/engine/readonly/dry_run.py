"""The dry run: the source is read to its end and states are asked; nothing is written or sent."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import DecisionPolicy, Finish
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.forecast import (
    Estimate,
    Forecast,
    SampleTotals,
    forecast,
    forecast_unchecked,
    without_states,
)
from dispatcher.domain.progress import Progress
from dispatcher.domain.reservoir import Reservoir
from dispatcher.domain.status import Reason, Status, Step
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.ports import Batch, Claim, Clock, Platform, Position, Source


class LedgerView(Protocol):
    """What the ledger knows before the run. Reading it changes nothing."""

    @property
    def in_doubt(self) -> int:
        """Contacts whose sends have no known end."""
        ...

    def positions(self) -> Mapping[str, Position]:
        """Return how far each file was read, by fingerprint."""
        ...

    def fresh(self, contacts: Sequence[Contact]) -> Sequence[Contact]:
        """Leave out those whose keys are in the ledger, or were given to this method before."""
        ...

    def reached(self, external_contact_id: str) -> bool:
        """Tell whether the person was written to in the campaign, or was asked about before."""
        ...

    def waiting(self) -> Iterator[Claim]:
        """Yield the contacts of the ledger that a run would take up, without their messages."""
        ...


@dataclass(frozen=True, slots=True)
class DryRunOptions:
    """How much is asked: ``sample`` contacts, None for all, 0 for none.

    ``workers`` is how many reads are under way at most, ``ended_after`` how many seconds a
    closed session is assumed to take until it is ended. ``house`` are the campaign's rules; of
    those about people a plan sees what the rows and the ledger tell.
    """

    sample: int | None
    workers: int
    ended_after: float
    rules: CampaignRules = field(default_factory=CampaignRules)


@dataclass(slots=True)
class ScanProgress:
    """What was read so far; rows of the source by what they are, and contacts by what is known.

    ``waiting`` are contacts that were in the ledger before, ``later`` those that are not due
    yet, ``last_due`` (seconds since the epoch) the latest due time among them.
    """

    rows: int = 0
    contacts: int = 0
    duplicates: int = 0
    filtered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    later: int = 0
    last_due: float = 0.0
    to_ask: int = 0
    asked: int = 0
    unread: int = 0
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class DryRunReport:
    """What a run would do that starts now."""

    seen: ScanProgress
    estimate: Estimate
    in_doubt: int
    longest_wait: float
    """Seconds for which one contact has to wait at least, for its session or its due time."""


class DryRun:
    """Makes one plan.

    Raises what the source and `Asking` raise.
    """

    def __init__(
        self, source: Source, standing: LedgerView, rules: DecisionPolicy, clock: Clock,
        options: DryRunOptions, below: Callable[[int], int],
    ) -> None:  # fmt: skip
        self._source = source
        self._standing = standing
        self._rules = rules
        self._clock = clock
        self._options = options
        self._below = below
        self._known = SampleTotals()
        self._sums = SampleTotals()
        self.seen = ScanProgress()
        """How far it has come, for whoever looks on."""

    async def run(self, platform: Platform | None, asking: PlatformReader | None) -> DryRunReport:
        """Read everything, ask what the options say, and add it up."""
        if platform is None or asking is None or self._options.sample == 0:
            async with aclosing(self._to_ask()) as claims:
                async for _ in claims:
                    pass
            return self._plan(without_states(self.seen.to_ask))
        async with aclosing(self._chosen()) as claims:
            await self._ask_all(claims, platform, asking)
        return self._plan(self._sums.estimate(self.seen.to_ask))

    def _plan(self, estimate: Estimate) -> DryRunReport:
        until_due = max(0.0, self.seen.last_due - self._clock.time())
        wait = max(until_due, self._sums.seconds)
        return DryRunReport(self.seen, estimate.plus(self._known), self._standing.in_doubt, wait)

    async def _to_ask(self) -> AsyncGenerator[Claim, None]:
        """Yield every contact that a run would ask the state of; count the others."""
        for claim in self._standing.waiting():
            self.seen.waiting += 1
            if self._needs_asking(claim):
                yield claim
        batches = self._source.batches(self._standing.positions())
        try:
            async for batch in batches:
                for claim in map(_as_claim, self._new(batch)):
                    if self._needs_asking(claim):
                        yield claim
        finally:
            aclose = getattr(batches, "aclose", None)
            if aclose is not None:
                await aclose()
        self.seen.at_end = True

    def _new(self, batch: Batch) -> Sequence[Contact]:
        seen, fresh = self.seen, self._standing.fresh(batch.contacts)
        seen.rows += batch.rows
        seen.contacts += len(fresh)
        seen.duplicates += len(batch.contacts) - len(fresh)
        seen.filtered += batch.filtered
        seen.rejected.update(row.reason for row in batch.rejected)
        return fresh

    def _needs_asking(self, claim: Claim) -> bool:
        now, seen = self._clock.time(), self.seen
        unasked = forecast_unchecked(claim.contact, claim.progress, self._rules, now)
        unasked = unasked or self._barred(claim, now)
        if unasked is not None:
            self._known.add(unasked)
            return False
        due = claim.contact.not_before
        if due is not None and due > now:
            seen.later += 1
            seen.last_due = max(seen.last_due, due)
        seen.to_ask += 1
        return True

    def _barred(self, claim: Claim, now: float) -> Forecast | None:
        """Apply the campaign's rules, as far as they need no state check."""
        house, identity = self._options.rules, claim.contact.external_contact_id
        after = house.check(claim.contact, None, claim.progress, now)
        if isinstance(after, Finish):
            return Forecast(after.status, after.reason)
        if after is not None:
            self.seen.later += 1
            self.seen.last_due = max(self.seen.last_due, now + after.seconds)
        if house.one_per_person and identity and self._standing.reached(identity):
            return Forecast(Status.SKIPPED, Reason.SAME_PERSON)
        return None

    async def _chosen(self) -> AsyncGenerator[Claim, None]:
        if self._options.sample is None:
            async with aclosing(self._to_ask()) as claims:
                async for claim in claims:
                    yield claim
            return
        reservoir: Reservoir[Claim] = Reservoir(self._options.sample, self._below)
        async with aclosing(self._to_ask()) as claims:
            async for claim in claims:
                reservoir.offer(claim)
        for claim in reservoir.kept:
            yield claim

    async def _ask_all(
        self, claims: AsyncIterator[Claim], platform: Platform, asking: PlatformReader
    ) -> None:
        turn = asyncio.Lock()

        async def work() -> None:
            while True:
                async with turn:
                    claim = await anext(claims, None)
                if claim is None:
                    return
                await self._ask(claim, platform, asking)

        workers = [asyncio.ensure_future(work()) for _ in range(self._options.workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _ask(self, claim: Claim, platform: Platform, asking: PlatformReader) -> None:
        checked = claim.contact.conversation_id
        answer = await asking.read(Step.CHECK, lambda: platform.check(checked))
        if answer is None:
            self.seen.unread += 1
            return
        self._sums.add(self._foreseen(claim.contact, claim.progress, answer))
        self.seen.asked += 1

    def _foreseen(self, contact: Contact, progress: Progress, answer: Answer) -> Forecast:
        kind = classify(Step.CHECK, answer)
        seen = answer.conversation
        if kind is AnswerKind.FORBIDDEN:
            return Forecast(Status.PARKED, Reason.FORBIDDEN_CONTACT, checks=2)
        if kind is AnswerKind.GONE:
            seen = Conversation(contact.conversation_id, State.GONE)
        if seen is None:
            return Forecast(Status.REJECTED, Reason.REFUSED, checks=1)
        now, after = self._clock.time(), self._options.ended_after
        return forecast(contact, seen, progress, self._rules, now, after)


def _as_claim(contact: Contact) -> Claim:
    return Claim(0, contact)
