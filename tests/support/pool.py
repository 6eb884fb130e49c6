"""The engine with several OAuth clients: each has a scripted platform, a quota and a breaker."""

from dispatcher.engine.clients.client import ClientConnection
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import EngineFixture
from tests.support.scripted import ScriptedPlatform

WINDOW = 60.0
PLENTY = 60_000


class PoolFixture(EngineFixture):
    """One engine over clients by name; ``quotas`` are requests a minute."""

    def __init__(
        self, *names, quotas=None, latency=0.05, platforms=None, states_per_call=1, events=None
    ):
        self.platforms = platforms or {name: ScriptedPlatform(latency=latency) for name in names}
        self._quotas = quotas or {}
        super().__init__(latency=latency, states_per_call=states_per_call, events=events)
        self.clients = {client.name: client for client in self.pool.clients}

    def connections(self):
        connections = []
        for name, platform in self.platforms.items():
            platform.archive = self.platform.archive
            quota = self._quotas.get(name) or PLENTY
            pacer = QuotaPacer(quota, WINDOW, self.clock)
            connections.append(ClientConnection(name, platform, pacer))
        return connections

    def reason(self, name):
        """Why a client is halted; None while it is not."""
        return self.clients[name].breaker.reason

    def steps(self, name, since=0.0):
        """The requests that a client made."""
        return self.platforms[name].steps(since)

    def made(self, name, begin=0.0, end=float("inf")):
        """How many requests a client made in that time."""
        return sum(begin <= request.at < end for request in self.platforms[name].requests)
