"""One plan: settings become the parts of a dry run."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from dispatcher.app.campaign_rules import open_campaign_rules
from dispatcher.app.wiring import make_pacer, make_platform, make_rules, make_source
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.dry_run import DryRun, DryRunOptions, DryRunReport, ScanProgress
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.ledgers.read.dry_run_view import DryRunView
from dispatcher.settings import Settings, each_client

SHOW_SECONDS = 0.2
"""How often whoever looks on is told how far it has come."""


@dataclass(frozen=True, slots=True)
class DryRunRequest:
    """What a command line asks of a plan.

    ``sample`` is how many contacts are asked for their state: None for all, 0 for none;
    ``seed`` makes the same sample of the same source again. ``ended_after`` is in seconds.
    """

    sample: int | None
    ended_after: float
    seed: int | None = None


def plan(
    settings: Settings, asked: DryRunRequest, show: Callable[[ScanProgress], None]
) -> DryRunReport:
    """Tell what a run would do, without a write to the ledger and without a send.

    Raises:
        SourceError: the source cannot be read.
        LedgerError: the ledger is there and cannot be read.
        AskingError: the platform does not let the reads in.
        CredentialsError, TokenUnavailableError: there is no token.

    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_plan(settings, asked, show))


async def _plan(
    settings: Settings, asked: DryRunRequest, show: Callable[[ScanProgress], None]
) -> DryRunReport:
    clock, rules = SystemClock(), make_rules(settings)
    async with AsyncExitStack() as stack:
        survey = stack.enter_context(DryRunView(settings.ledger.path, settings.campaign))
        house = await open_campaign_rules(settings.rules, settings.campaign, stack, lambda: None)
        workers = settings.engine.workers
        options = DryRunOptions(asked.sample, workers, asked.ended_after, house)
        below = random.Random(asked.seed).randrange  # noqa: S311 - a sample, not a secret
        source = make_source(settings, once=True)
        planner = DryRun(source, survey, rules, clock, options, below)
        stack.push_async_callback(_ended, asyncio.ensure_future(_show(planner.seen, show)))
        if asked.sample == 0:
            return await planner.run(None, None)
        _, own = next(each_client(settings))  # reads of a plan are taken from one client's quota
        pacer = make_pacer(own, clock)
        platform = await make_platform(own, pacer, clock, stack)
        asking = PlatformReader(platform, pacer, clock, rules.retry, random.random)
        await asking.preflight()
        return await planner.run(platform, asking)


async def _show(seen: ScanProgress, show: Callable[[ScanProgress], None]) -> None:
    while True:
        show(seen)
        await asyncio.sleep(SHOW_SECONDS)


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
