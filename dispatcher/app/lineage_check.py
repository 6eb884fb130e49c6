"""Builds and runs a check of the lineage from the settings."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import uvloop

from dispatcher.app.store import open_links
from dispatcher.app.wiring import open_reader
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.lineage_check import LineageCheckProgress, verify
from dispatcher.ports.questions import UnverifiedLinks
from dispatcher.settings import Settings


def verify_lineage(
    settings: Settings,
    query: UnverifiedLinks,
    check: LineageCheckProgress,
    show: Callable[[LineageCheckProgress], None],
) -> None:
    """Ask the platform about the query's links, and mark them; the results are in ``check``.

    Raises:
        LedgerError: another process holds the ledger, or it cannot be used.
        PlatformReadError: the platform refuses look backs.
        CredentialsError, TokenUnavailableError: there is no token.

    """
    uvloop.run(verify_in_loop(settings, query, check, show))


async def verify_in_loop(
    settings: Settings,
    query: UnverifiedLinks,
    check: LineageCheckProgress,
    show: Callable[[LineageCheckProgress], None],
) -> None:
    """Do what `verify_lineage` does, in the loop that is running."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        links = stack.enter_context(open_links(settings, query))
        platform, reader = await open_reader(settings, clock, stack)
        await verify(links, platform, reader, clock, check, show)
