"""The engine with several OAuth clients, each with a platform's script, a quota and halts."""

from dispatcher.domain.decision import DecisionPolicy
from dispatcher.engine.clients.breaker import CircuitBreaker
from dispatcher.engine.clients.client import OAuthClient
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.reconciler import Reconciler
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import POLICY, PROBE_SECONDS, Bench
from tests.support.scripted import ScriptedPlatform

WINDOW = 60.0
PLENTY = 60_000


class PoolBench(Bench):
    """One engine over clients by name; ``quotas`` are requests a minute."""

    def __init__(self, *names, quotas=None, latency=0.05, platforms=None, states_per_call=1):
        super().__init__(latency=latency)
        self.platforms = platforms or {name: ScriptedPlatform(latency=latency) for name in names}
        for platform in self.platforms.values():
            platform.archive = self.platform.archive
        quotas = quotas or {}
        self.clients = {name: self._client(name, quotas.get(name)) for name in self.platforms}
        self.turnstile = ClientPool(list(self.clients.values()))
        rules = DecisionPolicy(retry=POLICY)
        self.delivery = Delivery(
            self.turnstile, self.desk, rules, lambda: 1.0, PROBE_SECONDS, states_per_call
        )
        self.reconciler = Reconciler(self.turnstile, self.desk, rules, PROBE_SECONDS)

    def _client(self, name, quota):
        platform, requests = self.platforms[name], quota or PLENTY
        pacer = QuotaPacer(requests, WINDOW, self.clock)
        halts = CircuitBreaker(platform, self.events, self.clock, PROBE_SECONDS, name)
        return OAuthClient(name, platform, pacer, halts, requests)

    def reason(self, name):
        """Why a client stands still; None while it does not."""
        return self.clients[name].breaker.reason

    def steps(self, name, since=0.0):
        """What a client asked for."""
        return self.platforms[name].steps(since)

    def made(self, name, begin=0.0, end=float("inf")):
        """How many requests a client made in that time."""
        return sum(begin <= request.at < end for request in self.platforms[name].requests)
