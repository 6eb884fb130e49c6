"""Builds and runs a dry run from the settings."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack

import uvloop

from dispatcher.app.campaign_rules import list_context, open_campaign_rules
from dispatcher.app.sources import make_source
from dispatcher.app.store import open_dry_run_view
from dispatcher.app.tasks import cancel_and_wait
from dispatcher.app.wiring import make_likeness, make_policy, open_reader
from dispatcher.domain.first_call_forecast import FirstCallForecast
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.dry_run import DryRun, DryRunOptions, DryRunReport, ScanProgress
from dispatcher.settings import Settings

SHOW_SECONDS = 0.2
"""How often the progress is shown."""


def plan(
    settings: Settings,
    show: Callable[[ScanProgress], None],
    *,
    sample: int | None,
    ended_after: float,
    seed: int | None,
) -> DryRunReport:
    """Return what a run would do, without a write to the ledger and without a send.

    ``sample`` is how many contacts' states are read: None for all, 0 for none. ``seed`` selects
    the same sample of the same source again. ``ended_after`` is in seconds.

    Raises:
        SourceError: the source cannot be read.
        LedgerError: the ledger is there and cannot be read.
        PlatformReadError: the platform refuses the reads.
        CredentialsError, TokenUnavailableError: there is no token.

    """
    return uvloop.run(
        plan_in_loop(settings, show, sample=sample, ended_after=ended_after, seed=seed)
    )


async def plan_in_loop(
    settings: Settings,
    show: Callable[[ScanProgress], None],
    *,
    sample: int | None,
    ended_after: float,
    seed: int | None,
) -> DryRunReport:
    """Return what `plan` returns, in the loop that is running."""
    clock, policy = SystemClock(), make_policy(settings)
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(open_dry_run_view(settings))
        rules = await open_campaign_rules(
            settings.rules, settings.campaign, stack, lambda: None, list_context(settings)
        )
        likeness = make_likeness(settings) if rules.suppressed is None else None
        first_calls = FirstCallForecast(likeness, policy) if likeness is not None else None
        workers, halts = settings.engine.workers, settings.rules.halt_suspicious
        options = DryRunOptions(sample, workers, ended_after, rules, halts, first_calls)
        below = random.Random(seed).randrange  # noqa: S311 - a sample, not a secret
        source = make_source(settings, once=True, patient=False)
        dry_run = DryRun(source, ledger, policy, clock, options, below)
        showing = asyncio.ensure_future(_show(dry_run.progress, show))
        stack.push_async_callback(cancel_and_wait, showing)
        if sample == 0:
            return await dry_run.run(None, None)
        platform, reader = await open_reader(settings, clock, stack)
        return await dry_run.run(platform, reader)


async def _show(progress: ScanProgress, show: Callable[[ScanProgress], None]) -> None:
    while True:
        show(progress)
        await asyncio.sleep(SHOW_SECONDS)
