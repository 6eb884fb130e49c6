"""The latency of answers."""

import math
from collections.abc import Callable, Mapping
from random import Random

from dispatcher.sandbox.scenario.model import Spread
from dispatcher.sandbox.scenario.value_types import ENDPOINTS, LatencyKey
from dispatcher.sandbox.world.random import generator

Draw = Callable[[], float]


def drawer(spread: Spread, random: Random) -> Draw:
    """Return a function that draws seconds from a distribution."""
    longest = spread.max_ms / 1000
    if spread.kind == "uniform":
        low, high = spread.low_ms / 1000, spread.high_ms / 1000
        return lambda: min(longest, random.uniform(low, high))
    if spread.kind == "lognormal":
        mu = math.log(max(spread.ms, 1e-6) / 1000)
        return lambda: min(longest, random.lognormvariate(mu, spread.sigma))
    fixed = min(longest, spread.ms / 1000)
    return lambda: fixed


class Latency:
    """The latency of each endpoint; an endpoint without latency needs no timer."""

    def __init__(self, spreads: Mapping[LatencyKey, Spread], seed: int) -> None:
        self._draws: dict[str, Draw] = {}
        for endpoint in ENDPOINTS:
            spread = spreads.get(endpoint, spreads.get("default", Spread()))
            if spread != Spread():
                self._draws[endpoint] = drawer(spread, generator(seed, f"latency:{endpoint}"))

    def draw(self, endpoint: str) -> float:
        """Return the latency of one answer in seconds."""
        draw = self._draws.get(endpoint)
        return 0.0 if draw is None else draw()
