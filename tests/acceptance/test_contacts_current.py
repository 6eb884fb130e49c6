"""From the metrics alone: where every contact is, at each moment of runs that fail and crash."""

from collections.abc import Iterator

from tests.support.scenario_runner import assert_nobody_twice_nobody_missing, play
from tests.support.statsd import Metric, Receiver

COUNT = 600
SCENARIO = """
[rate]
allowed = 1000
window_seconds = 2.0

[[fault]]
kind = "reset_after"
endpoints = ["notify", "open"]
probability = 0.1

[[fault]]
kind = "error_500"
endpoints = ["check"]
probability = 0.1

[analytics]
lag_seconds = 0.5

[world.shares]
ended = 2
active = 2
closed = 1
"""
SETTINGS = {
    "reconcile.max_effect_delay_seconds": 1,
    "reconcile.max_lag_seconds": 1.2,
    "reconcile.clock_skew_seconds": 1,
    "reconcile.look_seconds": 0.2,
    "platform.requests_per_minute": 18_000,
    "engine.workers": 16,
}


def ticks(received: Receiver) -> Iterator[dict[tuple[str, str], int]]:
    """Yield the gauges of each tick: within one, no series comes twice."""
    now: dict[tuple[str, str], int] = {}
    fresh: set[tuple[str, str]] = set()
    for metric in received.metrics:
        if metric.name != "dispatcher.contacts.current":
            continue
        place = _place(metric)
        if place in fresh:
            yield dict(now)
            fresh.clear()
        fresh.add(place)
        now[place] = int(metric.value)
    yield dict(now)


def _place(metric: Metric) -> tuple[str, str]:
    tags = dict(tag.split(":", 1) for tag in metric.tags)
    return tags["state"], tags["reason"]


def test_all_contacts_are_in_the_gauges_at_each_moment(tmp_path):
    """A run with sends in doubt is killed; the next one ends. Each tick's sum is all admitted."""
    scenario = tmp_path / "doubts.toml"
    scenario.write_text(SCENARIO)
    with play(tmp_path, scenario, COUNT, SETTINGS) as played:
        process = played.start()
        played.metrics.wait_for(lambda r: (r.gauge("dispatcher.contacts.current") or 0) > 0, 20)
        played.sandbox.wait_for_effects(250)
        process.kill()
        process.communicate(timeout=20)
        played.metrics.settle()
        sums = [sum(tick.values()) for tick in ticks(played.metrics)]
        batches = [0, 256, 512, COUNT]
        assert set(sums) <= set(batches)
        assert sums == sorted(sums)
        assert sums[-1] > 0

        played.metrics.datagrams.clear()
        assert played.run("--wait-limit", "3").returncode in (0, 10)
        played.metrics.settle()
        found = list(ticks(played.metrics))
        again = [sum(tick.values()) for tick in found]
        assert set(again) <= set(batches)
        assert again == sorted(again)
        assert again[0] >= sums[-1]
        assert again[-1] == COUNT
        assert max(tick["in_doubt", "look_back"] for tick in found) > 0
        ends = played.status_counts()
        parked = {reason for (status, reason) in ends if status == "parked"}
        for reason in parked | {"delivered"}:
            number = sum(n for (_, why), n in ends.items() if why == reason)
            assert found[-1]["final", reason] == number
        assert found[-1]["in_doubt", "look_back"] == ends["in_doubt", None]
        assert played.metrics.gauge("dispatcher.source.ended") == 1
        assert played.metrics.total("dispatcher.token.requests", "status:200") >= 1
        assert_nobody_twice_nobody_missing(played)
