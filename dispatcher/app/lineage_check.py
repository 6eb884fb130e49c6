"""Builds and runs a check of the lineage from the settings."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from dispatcher.app.wiring import open_reader
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.lineage_check import LineageCheck, verify
from dispatcher.ledgers.lineage_check import ExclusiveLinkStore, UnverifiedQuery
from dispatcher.settings import Settings


@dataclass(frozen=True, slots=True)
class LineageCheckRequest:
    """Which links to check; without a ``campaign`` those of the whole ledger.

    Links with ids above ``since``, at most ``limit``, settled at least ``min_age`` seconds ago.
    """

    campaign: str | None
    since: int
    limit: int | None
    min_age: float


def verify_lineage(
    settings: Settings, request: LineageCheckRequest, show: Callable[[LineageCheck], None]
) -> LineageCheck:
    """Ask the platform about links that are not confirmed yet, and mark them.

    Raises:
        LedgerError: another process holds the ledger, or it cannot be used.
        PlatformReadError: the platform refuses look backs.
        CredentialsError, TokenUnavailableError: there is no token.

    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_verify(settings, request, show))


async def _verify(
    settings: Settings, request: LineageCheckRequest, show: Callable[[LineageCheck], None]
) -> LineageCheck:
    clock, done = SystemClock(), LineageCheck(request.since, request.limit)
    async with AsyncExitStack() as stack:
        query = UnverifiedQuery(clock.time() - request.min_age, request.campaign)
        links = stack.enter_context(ExclusiveLinkStore(settings.ledger.path, query))
        platform, reader = await open_reader(settings, clock, stack)
        await verify(links, platform, reader, clock, done, show)
    return done
