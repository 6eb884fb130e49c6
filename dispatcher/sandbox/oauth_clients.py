"""Further OAuth clients beside the one of ``[token]``, each with its own scopes and quota."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from dispatcher.sandbox.oauth import DialectScopes, Grants
from dispatcher.sandbox.quota import Quota
from dispatcher.sandbox.scenario.model import ClientRules, OtherProgramRules, RateRules, TokenRules


@dataclass(slots=True)
class SandboxClient:
    """One further client; ``scopeless`` counts its requests while it had no write scope."""

    client_id: str
    grants: Grants
    quota: Quota
    scopeless: int = 0


class ClientRegistry:
    """All further clients; it is false if there are none."""

    def __init__(self, clients: Iterable[SandboxClient]) -> None:
        self._by_id = {client.client_id: client for client in clients}

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def find_id(self, client_id: str) -> SandboxClient | None:
        """Return the client with this id."""
        return self._by_id.get(client_id)

    def find_token(self, authorization: bytes, now: float) -> SandboxClient | None:
        """Return the client whose token an Authorization header carries."""
        for client in self._by_id.values():
            if client.grants.find(authorization, now) is not None:
                return client
        return None

    def find_secret(self, authorization: bytes) -> SandboxClient | None:
        """Return the client whose id and secret a Basic header carries."""
        for client in self._by_id.values():
            if client.grants.matches_secret(authorization):
                return client
        return None

    def expire_all(self) -> None:
        """Expire all of their tokens."""
        for client in self._by_id.values():
            client.grants.expire_all()

    def report(self, now: float) -> dict[str, object]:
        """Return the counts of each client, by its id."""
        return {
            client.client_id: {
                "windows": [asdict(window) for window in client.quota.windows(now)],
                "scopeless": client.scopeless,
            }
            for client in self._by_id.values()
        }


def make_clients(
    rules: Sequence[ClientRules], token: TokenRules, needs: DialectScopes, rate: RateRules,
    make_quota: Callable[[RateRules, int], Quota],
) -> ClientRegistry:  # fmt: skip
    """Return the further clients; ``make_quota`` gets the rate and the number of the client."""
    clients = []
    for number, client in enumerate(rules, start=1):
        own = replace(
            token,
            client_id=client.client_id,
            client_secret=client.client_secret,
            granted=client.granted,
        )
        limit = replace(rate, allowed=client.allowed or rate.allowed, other=OtherProgramRules())
        quota = make_quota(limit, number)
        clients.append(SandboxClient(client.client_id, Grants(own, needs), quota))
    return ClientRegistry(clients)
