"""The OAuth clients of a run: one, or those of ``[[clients]]``."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from dispatcher.app.authorization_report import log_grants
from dispatcher.app.wiring import make_pacer, make_platform
from dispatcher.domain.status import HaltReason, Step
from dispatcher.engine import authorization
from dispatcher.engine.clients.breaker import CircuitBreaker
from dispatcher.engine.clients.client import OAuthClient
from dispatcher.ports import Clock, CredentialsError, EventSink, TokenUnavailableError
from dispatcher.settings import Settings, each_client


async def open_clients(
    settings: Settings, clock: Clock, stack: AsyncExitStack, events: EventSink
) -> list[OAuthClient]:
    """Return all clients; the stack closes their connections. ``events`` hears of their halts."""
    clients = []
    for name, own in each_client(settings):
        pacer = make_pacer(own, clock)
        platform = await make_platform(own, pacer, clock, stack)
        halts = CircuitBreaker(platform, events, clock, settings.engine.probe_seconds, name)
        clients.append(OAuthClient(name, platform, pacer, halts, own.platform.requests_per_minute))
    return clients


async def preflight(clients: Sequence[OAuthClient], log: Any) -> None:
    """Find out before the first send what each client lacks.

    A client whose id and secret are refused is halted, as long as there are others.

    Raises:
        CredentialsError: the platform refuses every client.

    """
    refused: list[tuple[OAuthClient, CredentialsError]] = []
    for client in clients:
        try:
            await _preflight(client, log.bind(client=client.name) if client.name else log)
        except CredentialsError as error:
            refused.append((client, error))
    if len(refused) == len(clients):
        raise refused[0][1]
    for client, refusal in refused:
        client.breaker.halt(HaltReason.CREDENTIALS, str(refusal))


async def _preflight(client: OAuthClient, log: Any) -> None:
    """Find out whether a scope or all permissions are missing.

    A platform that does not answer yet is no reason not to start: the halts take care.
    """
    try:
        authority = await client.platform.renew(0)
    except TokenUnavailableError as error:
        client.breaker.halt(HaltReason.PLATFORM_DOWN, str(error))
        return
    log_grants(log, authority)
    if authority.missing_grants:
        client.breaker.halt(*authorization.halt_reason(authority), Step.OPEN)
