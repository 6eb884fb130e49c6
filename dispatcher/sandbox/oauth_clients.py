"""Further OAuth clients beside the one of ``[token]``, each with its own scopes and quota."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.oauth import MESSAGING, DialectScopes, Grants
from dispatcher.sandbox.quota import Quota
from dispatcher.sandbox.scenario.model import (
    READ_SCOPES,
    WRITE_SCOPES,
    Other,
    RateRules,
    TokenRules,
)
from dispatcher.sandbox.scenario.table import Table


@dataclass(frozen=True, slots=True)
class ClientRules:
    """One of ``[[clients]]``; all else is as ``[token]`` and ``[rate]`` say."""

    client_id: str
    client_secret: str
    granted: tuple[str, ...] = READ_SCOPES + WRITE_SCOPES
    allowed: int | None = None
    """Requests in a window; as many as ``[rate]`` allows if None."""


def clients(root: Table) -> tuple[ClientRules, ...]:
    """Read ``[[clients]]``."""
    return tuple(_client(table) for table in root.tables("clients"))


def _client(table: Table) -> ClientRules:
    return ClientRules(
        client_id=table.required_text("client_id"),
        client_secret=table.required_text("client_secret"),
        granted=table.texts("granted", READ_SCOPES + WRITE_SCOPES),
        allowed=table.optional_integer("allowed", 1),
    )


@dataclass(slots=True)
class SandboxClient:
    """One further client; ``scopeless`` counts its requests while it had no write scope."""

    client_id: str
    grants: Grants
    quota: Quota
    scopeless: int = 0


class ClientRegistry:
    """All further clients; the first one is the sandbox's own.

    ``tells_scopes``: an issued token comes with its scopes, as in the dialect ``messaging``.
    """

    def __init__(self, clients: Sequence[SandboxClient], *, tells_scopes: bool = True) -> None:
        self._tells_scopes = tells_scopes
        self._by_id = {client.client_id: client for client in clients}

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._by_id)

    def named(self, client_id: str) -> SandboxClient | None:
        """Return the one with that id."""
        return self._by_id.get(client_id)

    def of(self, authorization: bytes, now: float) -> SandboxClient | None:
        """Return whose token an Authorization header carries; None: it is none of theirs."""
        for client in self._by_id.values():
            if client.grants.find(authorization, now) is not None:
                return client
        return None

    def token(self, authorization: bytes, form: bytes, now: float) -> Response | None:
        """Issue a token to the client that the Basic header names; None: it is none of these."""
        for client in self._by_id.values():
            if client.grants.knows_client(authorization):
                issued = client.grants.issue(form, now)
                if issued is None:
                    return response(400, {"error": "unsupported_grant_type"})
                if not self._tells_scopes:
                    del issued["scope"]
                return response(200, issued)
        return None

    def expire_all(self) -> None:
        """End the life of every token of theirs."""
        for client in self._by_id.values():
            client.grants.expire_all()

    def report(self, now: float) -> dict[str, object]:
        """Return what each did, by its id."""
        return {
            client.client_id: {
                "windows": [asdict(window) for window in client.quota.windows(now)],
                "scopeless": client.scopeless,
            }
            for client in self._by_id.values()
        }


def make_clients(
    rules: Sequence[ClientRules], token: TokenRules, needs: DialectScopes, rate: RateRules,
    quota_of: Callable[[RateRules, int], Quota],
) -> ClientRegistry:  # fmt: skip
    """Return the further clients; ``quota_of`` makes the quota of the one with that number."""
    made = []
    for number, each in enumerate(rules, start=1):
        own = replace(
            token,
            client_id=each.client_id,
            client_secret=each.client_secret,
            granted=each.granted,
        )
        limit = replace(rate, allowed=each.allowed or rate.allowed, other=Other())
        made.append(SandboxClient(each.client_id, Grants(own, needs), quota_of(limit, number)))
    return ClientRegistry(made, tells_scopes=needs is MESSAGING)
