"""The OAuth clients of a run: one, or those of ``[[clients]]``."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from dispatcher.app.authorization_report import log_grants
from dispatcher.app.wiring import client_credentials, make_pacer, make_platform
from dispatcher.domain.events import TokenRequested
from dispatcher.domain.status import HaltReason, Step
from dispatcher.engine import authorization
from dispatcher.engine.clients.client import ClientConnection, OAuthClient
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.ports import (
    ENDLESS,
    Clock,
    CredentialsError,
    CredentialSource,
    EventSink,
    Tenure,
    TokenGrants,
    TokenUnavailableError,
    Tracing,
    WrongAddressError,
)
from dispatcher.settings import Settings, per_client_settings

WRONG_ANSWERS = 3
"""Answers in a row that are not the platform's, after which the address counts as wrong."""
WRONG_ANSWER_SECONDS = 1.0
"""The pause between them."""


def open_credentials(
    settings: Settings, clock: Clock, stack: AsyncExitStack
) -> Mapping[str, CredentialSource]:
    """Return where the credentials of each client are, by its name; the stack closes them.

    A run opens each of them once: a login may be permitted for one use.
    """
    return {
        name: client_credentials(own, clock, stack) for name, own in per_client_settings(settings)
    }


async def open_pool(  # noqa: PLR0913 - the parts of all clients
    settings: Settings, clock: Clock, stack: AsyncExitStack, events: EventSink,
    credentials: Mapping[str, CredentialSource], *, tracing: Tracing | None = None,
    tenure: Tenure = ENDLESS,
) -> ClientPool:  # fmt: skip
    """Return all clients; the stack closes their connections. Their halts go to ``events``.

    ``credentials`` are from `open_credentials`. No message leaves after the ``tenure`` of the run.
    """
    connections = []
    for name, own in per_client_settings(settings):
        pacer = make_pacer(own, clock)
        count = partial(_count_token_request, events, name)
        platform = await make_platform(
            own, pacer, clock, stack, credentials[name], on_token_request=count, tenure=tenure
        )
        if tracing is not None:
            platform = tracing.wrap_platform(platform, name)
        connections.append(ClientConnection(name, platform, pacer))
    return ClientPool(connections, events, clock, settings.engine.probe_seconds)


def _count_token_request(events: EventSink, client: str, status: str, seconds: float) -> None:
    events.emit(TokenRequested(status, seconds, client))


async def preflight(clients: Sequence[OAuthClient], log: Any) -> None:
    """Find the missing grants of each client before the first send.

    A client whose id and secret are refused is halted if there are others.

    Raises:
        CredentialsError: the platform refuses every client.
        WrongAddressError: what answers is not the platform.

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
    """Get a token, and halt the client if grants are missing or the platform does not answer.

    The run starts nevertheless; the halt ends by itself when its cause does. Only another server
    than the platform ends the start: nothing but a person mends that.
    """
    try:
        grants = await _first_grants(client)
    except WrongAddressError:
        raise
    except TokenUnavailableError as error:
        client.breaker.halt(HaltReason.PLATFORM_DOWN, str(error))
        return
    log_grants(log, grants)
    if grants.missing_grants:
        client.breaker.halt(*authorization.halt_reason(grants), Step.OPEN)


async def _first_grants(client: OAuthClient) -> TokenGrants:
    """Return the grants of a first token; a wrong address is believed after some answers."""
    for _ in range(WRONG_ANSWERS - 1):
        try:
            return await client.platform.renew(0)
        except WrongAddressError:  # a proxy may have answered in the platform's place
            await asyncio.sleep(WRONG_ANSWER_SECONDS)
    return await client.platform.renew(0)
