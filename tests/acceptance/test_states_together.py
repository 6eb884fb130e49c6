"""Many states in one request: each contact ends as without it, for fewer requests."""

from contextlib import contextmanager

import pytest

from dispatcher.sandbox.contact_files import write_contacts
from tests.support.dialects import DIALECTS
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_metrics_match,
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    play,
)

KINDS = {
    "messaging": {
        "active": 20, "ended": 20, "closed": 2, "closing": 2, "returning": 1, "gone": 1,
        "vanished": 1, "leaving": 1, "channel": 1, "swapped": 1, "noaddress": 1, "unknown": 1,
    },
    "genesys": {"ended": 20, "resumable": 20, "returning": 1, "gone": 1, "agentline": 1},
}  # fmt: skip
"""Mostly what the records of the dialect tell enough of."""
ENDPOINT = {"messaging": "analytics", "genesys": "details"}
COUNT, TOGETHER = 120, 20


def scenario_of(folder, dialect, more=""):
    path = folder / "together.toml"
    weights = "".join(f"{kind} = {share}\n" for kind, share in KINDS[dialect].items())
    rate = "[rate]\nallowed = 200\nwindow_seconds = 2.0\n"
    world = "leaves_after = 60.0\nended_after = 0.5\n"
    path.write_text(f"{rate}{more}[world]\n{world}[world.shares]\n{weights}")
    return path


@contextmanager
def playing(folder, dialect, count, settings, more=""):
    """A scenario whose contacts have addresses: `messaging` needs them for a link by a record."""
    path = scenario_of(folder, dialect, more)
    with play(folder, path, count, settings, dialect=dialect) as played:
        write_contacts(played.contacts, count=count, shares=KINDS[dialect], with_addresses=True)
        yield played


SETTINGS = {
    "platform.states_per_call": TOGETHER,
    "platform.requests_per_minute": 6000,
    "retry.engaged_seconds": 0.3,
    "retry.engaged_max_minutes": 0.02,
}


@pytest.mark.parametrize("states", [TOGETHER, "auto"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_ends_as_the_table_says_for_fewer_requests(tmp_path, dialect, states):
    """Who comes back, is gone or is talked with is read alone, and nobody is sent to twice."""
    settings = {**SETTINGS, "platform.states_per_call": states}
    with playing(tmp_path, dialect, COUNT, settings) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        assert_each_ends_as_the_table_says(played)
        assert_metrics_match(played)
        answers = played.sandbox.counts()["answers"]
        together = sum(answers[ENDPOINT[dialect]].values())
        assert together <= 4 * COUNT / TOGETHER
        assert together + sum(answers["check"].values()) < COUNT / 2
        told = played.metrics.series("dispatcher.api.requests", "endpoint", "status")
        assert told["check_many", "200"] == together


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_the_records_each_is_read_alone(tmp_path, dialect):
    """The endpoint fails: everybody is delivered all the same."""
    fault = f'[[fault]]\nkind = "error_500"\nendpoints = ["{ENDPOINT[dialect]}"]\n'
    with playing(tmp_path, dialect, 50, SETTINGS, fault) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_nobody_twice_nobody_missing(played)
        assert_each_ends_as_the_table_says(played)
        assert played.sandbox.counts()["answers"]["check"]["200"] >= 40
