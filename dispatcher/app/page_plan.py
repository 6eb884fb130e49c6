"""The plan of a campaign for the page of a run: a dry run without a request to the platform."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from dispatcher.app import foreseen_halt, plan_words
from dispatcher.app.campaigns import OpenCampaign
from dispatcher.app.plan_figures import duration, requests_of
from dispatcher.app.sources import make_source
from dispatcher.app.store import open_dry_run_view
from dispatcher.app.suppression import can_be_compared
from dispatcher.app.wiring import make_policy
from dispatcher.domain.contact import Contact
from dispatcher.drivers.threads import call_in_thread
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.dry_run import DryRun, DryRunOptions, DryRunReport, LedgerView
from dispatcher.ports import Batch, Claim, Source, Stream
from dispatcher.ports.orders import CommandError
from dispatcher.ports.plan import Bounds, CampaignPlan
from dispatcher.settings import Settings, requests_per_minute

MOST_LOOKED_AT = 50_000
"""Rows and contacts that one plan looks at: about two seconds of a core."""
LOOK_SECONDS = 5.0
"""How long one plan looks at them."""
KEPT_SECONDS = 30.0
"""How long a plan is shown again, instead of a new one."""


class PagePlans:
    """Makes the plans of a run's campaigns, one at a time, and beside its event loop.

    ``campaigns`` returns those that are open.
    """

    def __init__(self, campaigns: Callable[[], Sequence[OpenCampaign]]) -> None:
        self._campaigns = campaigns
        self._turn = asyncio.Lock()
        self._kept: dict[str, CampaignPlan] = {}

    async def plan(self, name: str) -> CampaignPlan:
        """Return the plan of a campaign; one of the last seconds is returned again.

        Raises:
            CommandError: the run has no such campaign, or has not opened it yet.
            SourceError: the source cannot be read.
            LedgerError: the ledger cannot be read.

        """
        found = next((one for one in self._campaigns() if one.campaign.name == name), None)
        if found is None:
            raise CommandError(f"this run has no open campaign {name}")
        async with self._turn:
            kept = self._kept.get(name)
            if kept is None or not 0 <= time.time() - kept.made_at < KEPT_SECONDS:
                kept = await call_in_thread(partial(asyncio.run, _plan(found)))
                self._kept[name] = kept
            return kept


async def _plan(opened: OpenCampaign) -> CampaignPlan:
    """Return the plan; the rules are the run's own, but nothing is proved or counted with them."""
    settings, made_at, budget = opened.settings, time.time(), _Budget()
    reads_source = settings.program_source is None and can_be_compared(settings.source)
    source = _Part(make_source(settings, once=True) if reads_source else None, budget)
    rules = replace(opened.rules, list_unproved=None, failure_rate=None)
    options = DryRunOptions(0, 1, 0.0, rules, settings.rules.halt_suspicious)
    randbelow = random.Random().randrange  # noqa: S311 - no sample is taken
    with open_dry_run_view(settings) as view:
        ledger, policy = _PartOfLedger(view, budget), make_policy(settings)
        dry_run = DryRun(source, ledger, policy, SystemClock(), options, randbelow)
        report = await dry_run.run(None, None)
    seconds, scan = duration(report, settings), report.progress
    return CampaignPlan(
        campaign=settings.campaign,
        made_at=made_at,
        rows=[*plan_words.rows(report)] if reads_source else [],
        waiting=[*plan_words.in_ledger(report)],
        outcomes=[
            (becomes, reason, found.number)
            for becomes, reason, found in plan_words.outcomes(report.estimate)
        ],
        undecided=scan.to_check,
        requests={
            name: Bounds(found.low, found.high)
            for name, found in requests_of(report.estimate).items()
        },
        seconds=Bounds(seconds.low, seconds.high),
        requests_per_minute=requests_per_minute(settings),
        later=scan.later,
        last_due=scan.last_due,
        halt=foreseen_halt.sentence(report.halt) if report.halt is not None else "",
        remarks=[*plan_words.remarks(settings, report, 0.0), plan_words.NOTHING_DONE],
        unknown=[*_unknown(settings, report, budget, reads_source=reads_source)],
    )


def _unknown(
    settings: Settings, report: DryRunReport, budget: "_Budget", *, reads_source: bool
) -> Iterator[str]:
    if budget.spent:
        yield (
            f"What comes after the first {budget.taken:,} contacts and rows: this page looks at no "
            "more, `dispatcher plan` looks at all."
        )
    if not reads_source:
        yield (
            "Rows that the run has not read yet, if there are any: this page reads only a file "
            "that can be read twice. `dispatcher plan` reads every source."
        )
    if report.progress.to_check:
        yield (
            "The state of each session: it decides who gets a message, who is refused, and who "
            "waits."
        )
        yield "How many sessions have not ended: such a contact takes a further request each time."
        yield "What only a send shows: a refusal, or a session that was closed after its check."
    if settings.platform.states_per_call != 1:
        yield "How many states come in one request (platform.states_per_call): here it is one."
    if settings.rules.one_per_person or settings.rules.cap_messages:
        yield "The person of a row that has no external contact id: the platform knows it."
    if settings.rules.quiet_hours or settings.rules.holidays:
        yield "Contacts for whom quiet hours begin before it is their turn."
    yield "Requests of others that share the quota, also of other campaigns of this run."


class _Budget:
    """How much one plan may look at."""

    def __init__(self) -> None:
        self.taken = 0
        self.spent = False
        self._until = time.monotonic() + LOOK_SECONDS

    @property
    def seconds(self) -> float:
        """How many seconds are left."""
        return max(0.0, self._until - time.monotonic())

    def take(self, number: int) -> bool:
        """Return True if so many more may be looked at."""
        self.spent = self.spent or not self.seconds or self.taken + number > MOST_LOOKED_AT
        self.taken += 0 if self.spent else number
        return not self.spent


class _Part:
    """The beginning of what is left in a source; nothing of it if there is none."""

    watched = False
    waits_for = ""
    lag = None

    def __init__(self, source: Source | None, budget: _Budget) -> None:
        self._source, self._budget = source, budget

    async def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield batches until the budget is spent."""
        if self._source is None or self._budget.spent:
            return
        async with aclosing(self._source.batches(known)) as batches:
            while (batch := await self._next(batches)) is not None:
                yield batch

    async def _next(self, batches: AsyncGenerator[Batch, None]) -> Batch | None:
        """Return the next batch; None at the end, or if the budget does not permit it."""
        try:
            async with asyncio.timeout(self._budget.seconds):
                batch = await anext(batches, None)
        except TimeoutError:  # a compressed file is read for long before its next new row
            self._budget.spent = True
            return None
        return batch if batch is not None and self._budget.take(batch.rows) else None


class _PartOfLedger:
    """The view of a ledger, with the first of its waiting contacts."""

    def __init__(self, view: LedgerView, budget: _Budget) -> None:
        self._view, self._budget = view, budget

    @property
    def in_doubt(self) -> int:
        """How many contacts are in doubt."""
        return self._view.in_doubt

    @property
    def has_contacts(self) -> bool:
        """Whether the campaign has had a contact."""
        return self._view.has_contacts

    def streams(self) -> Mapping[str, Stream]:
        """Return how far each stream was read."""
        return self._view.streams()

    def take_new(self, contacts: Sequence[Contact]) -> Sequence[Contact]:
        """Return those whose keys are new."""
        return self._view.take_new(contacts)

    def mark_reached(self, external_contact_id: str) -> bool:
        """Mark the person as reached; return True if it was before."""
        return self._view.mark_reached(external_contact_id)

    def plan_message(self, external_contact_id: str, cap: int, since: float) -> bool:
        """Plan a message to the person; return False if the cap permits none."""
        return self._view.plan_message(external_contact_id, cap, since)

    def waiting(self) -> Iterator[Claim]:
        """Yield waiting contacts until the budget is spent."""
        for claim in self._view.waiting():
            if not self._budget.take(1):
                return
            yield claim
