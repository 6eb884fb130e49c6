"""One verification of the lineage: the ledger's lock, the platform, and what came of it."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from dispatcher.app.wiring import make_pacer, make_platform, make_rules
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.lineage_check import LineageCheck, verify
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.ledgers.lineage_check import ExclusiveLinkStore, UnverifiedQuery
from dispatcher.settings import Settings, each_client


@dataclass(frozen=True, slots=True)
class LineageCheckRequest:
    """What a command line asks to be verified; no ``campaign`` means all of the ledger.

    Links with ids above ``since``, at most ``limit``, settled at least ``min_age`` seconds ago.
    """

    campaign: str | None
    since: int
    limit: int | None
    min_age: float


def verify_lineage(
    settings: Settings, asked: LineageCheckRequest, show: Callable[[LineageCheck], None]
) -> LineageCheck:
    """Ask the platform about links that are not confirmed yet, and mark them.

    Raises:
        LedgerError: another process holds the ledger, or it cannot be used.
        AskingError: the platform does not let look backs in.
        CredentialsError, TokenUnavailableError: there is no token.

    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_verify(settings, asked, show))


async def _verify(
    settings: Settings, asked: LineageCheckRequest, show: Callable[[LineageCheck], None]
) -> LineageCheck:
    clock, done = SystemClock(), LineageCheck(asked.since, asked.limit)
    async with AsyncExitStack() as stack:
        which = UnverifiedQuery(clock.time() - asked.min_age, asked.campaign)
        links = stack.enter_context(ExclusiveLinkStore(settings.ledger.path, which))
        _, own = next(each_client(settings))  # one client is enough: a look back serves many
        pacer, policy = make_pacer(own, clock), make_rules(settings).retry
        platform = await make_platform(own, pacer, clock, stack)
        asking = PlatformReader(platform, pacer, clock, policy, random.random)
        await asking.preflight()
        await verify(links, platform, asking, clock, done, show)
    return done
