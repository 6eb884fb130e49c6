"""The leases that a run needs: those of its campaigns, and of its OAuth clients."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from dispatcher.ports import (
    ClientCredentials,
    CredentialsError,
    CredentialSource,
    CredentialsUnavailableError,
    Lease,
    LeaseKind,
)
from dispatcher.settings import Settings

CREDENTIAL_SECONDS = 5.0
"""The pause before credentials are read again whose source does not answer."""
ID_LENGTH = 16
"""Hexadecimal digits of the hash of a client's id."""


async def find_leases(
    settings: Settings, credentials: Mapping[str, CredentialSource], log: Any
) -> Sequence[Lease]:
    """Return what the run must have for itself: its campaigns, and unless shared its clients.

    ``credentials`` are those of each client, by its name. A client is known by a hash of its id,
    so that its secret may change. A token that is issued outside of the dispatcher names no
    client, and has no lease.

    Raises:
        CredentialsError: the id of at least one client cannot be read, and no client has a lease.

    """
    campaigns = [Lease(LeaseKind.CAMPAIGN, one.name) for one in settings.campaigns]
    if settings.ledger.share_clients:
        return campaigns
    clients: list[Lease] = []
    refused: list[CredentialsError] = []
    for name, source in credentials.items():
        try:
            clients += await _client_lease(source, log)
        except CredentialsError as error:
            log.warning("lease.client_unknown", client=name, detail=str(error))
            refused.append(error)
    if refused and not clients:
        raise refused[0]
    return list(dict.fromkeys([*campaigns, *clients]))


async def _client_lease(source: CredentialSource, log: Any) -> Sequence[Lease]:
    while True:
        try:
            credentials = await source.get()
        except CredentialsUnavailableError as error:
            log.warning("lease.client_unknown", detail=str(error))
            await asyncio.sleep(CREDENTIAL_SECONDS)
            continue
        if isinstance(credentials, ClientCredentials):
            return [Lease(LeaseKind.CLIENT, client_identity(credentials.client_id))]
        return []


def client_identity(client_id: str) -> str:
    """Return the name of a client's lease: the same on every machine, and not the id itself."""
    return hashlib.sha256(client_id.strip().encode()).hexdigest()[:ID_LENGTH]
