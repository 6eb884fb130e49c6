"""The page of a run: connects it with the run's snapshots, its store and its orders."""

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog

from dispatcher.app.campaigns import OpenCampaign
from dispatcher.app.control.server import CommandFunction
from dispatcher.app.page_plan import PagePlans
from dispatcher.app.token_file import token_reader
from dispatcher.http_server.page.guard import PageGuard
from dispatcher.http_server.page.server import PageSource, serve_page
from dispatcher.ports import Store
from dispatcher.ports.snapshot import RunSnapshot
from dispatcher.settings import Settings


async def serve_run_page(
    stack: AsyncExitStack,
    settings: Settings,
    store: Store,
    snapshot: Callable[[], RunSnapshot],
    commands: Mapping[str, CommandFunction],
    campaigns: Callable[[], Sequence[OpenCampaign]],
) -> None:
    """Serve the page of a run until the stack is closed, if a port is set for it.

    ``commands`` are those of the control socket; the page gives them if ``control.page`` is true.
    ``campaigns`` returns those that the run has open, for their plans.

    Raises:
        PageAddressError: the address cannot be listened on.
        CredentialsError: the file of the token cannot be read.

    """
    telemetry = settings.telemetry
    if not telemetry.page_port:
        return

    async def order(name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return await commands[name](arguments)

    token = token_reader(
        telemetry.page_token_file,
        telemetry.page_token_variable,
        settings.environment,
        "telemetry.page_token_file",
    )
    guard = PageGuard(_names(settings), token, settings.control.page)
    source = PageSource(snapshot, store.look, store.page, order, PagePlans(campaigns).plan)
    host, port = telemetry.page_host, telemetry.page_port
    url = await serve_page(stack, host, port, source, guard)
    structlog.get_logger(campaign=settings.title).info("page.listening", url=url)


def _names(settings: Settings) -> frozenset[str]:
    """Return the hosts by which the page may be asked for, in lower case."""
    telemetry = settings.telemetry
    names = (telemetry.page_host, socket.gethostname(), *telemetry.page_names)
    return frozenset(name.lower().rstrip(".") for name in names)
