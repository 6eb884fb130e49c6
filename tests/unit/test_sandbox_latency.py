"""The latency of the sandbox's answers."""

from dispatcher.sandbox.latency import Latency, drawer
from dispatcher.sandbox.scenario.model import Spread
from dispatcher.sandbox.world.random import generator


def test_latency_by_distribution():
    spreads = {
        "default": Spread(ms=5.0),
        "check": Spread(),
        "open": Spread("uniform", low_ms=1.0, high_ms=1.0),
    }
    latency = Latency(spreads, seed=1)
    assert (latency.draw("notify"), latency.draw("check")) == (0.005, 0.0)
    random = generator(1, "test")
    uniform = drawer(Spread("uniform", low_ms=10, high_ms=20), random)
    assert all(0.010 <= uniform() <= 0.020 for _ in range(100))
    draw = drawer(Spread("lognormal", ms=10, max_ms=30), random)
    drawn = sorted(draw() for _ in range(1000))
    assert 0.008 < drawn[500] < 0.012
    assert drawn[-1] == 0.030
