"""Which dispatchers lead, in the words of `dispatcher status` and of commands."""

import io

import pytest
from rich.console import Console

from dispatcher.app.control import client
from dispatcher.app.leadership import held_json
from dispatcher.cli import progress
from dispatcher.cli.commands import run
from dispatcher.cli.leader_report import is_led, leader_lines
from dispatcher.cli.progress import progress_view
from dispatcher.ports import HeldLease, Lease, LeaseKind
from dispatcher.ports.orders import PauseOrder
from tests.support.least_settings import settings

SINCE = 1_790_000_000.0


def held(kind, name, daemon="one-7", left=7.2):
    return HeldLease(Lease(LeaseKind(kind), name), daemon, "machine-1", SINCE, left)


def test_each_leader_has_a_line_with_what_it_leads():
    """Its machine, since when, and when the next one takes over."""
    leases = [
        held("campaign", "cart"),
        held("campaign", "news", "two-8", left=-30.0),
        held("client", "3f2a"),
    ]
    one, two = leader_lines(map(held_json, leases))
    assert one == (
        "Leader one-7 on machine-1 since 2026-09-21 14:13:20 UTC: campaign cart, client 3f2a; its "
        "leases end in 7 s unless it renews them."
    )
    assert two == (
        "Leader two-8 on machine-1 since 2026-09-21 14:13:20 UTC: campaign news; its leases ended "
        "30 s ago: the next dispatcher takes them."
    )
    assert [*leader_lines([])] == []


def test_a_lease_that_has_ended_leads_nothing():
    assert is_led([held_json(held("campaign", "cart"))])
    assert not is_led([held_json(held("campaign", "cart", left=0.0))])
    assert not is_led([])


class Store:
    """A store that carries every order out itself, while these runs use it."""

    def __init__(self, *runs):
        self.runs = runs

    def order(self, order):
        return {"paused": {order.campaign: 1.0}}

    def runs_beside(self):
        return self.runs


@pytest.mark.parametrize(
    ("runs", "by"),
    [
        ((), "no dispatcher is running on it"),
        (("one-7 on machine-1",), "looks for it within seconds (one-7 on machine-1)"),
    ],
)
def test_a_command_says_who_will_follow_it(runs, by):
    """The order is in the ledger; a leader elsewhere reads it with its next heartbeat."""
    result = client.execute(Store(*runs), PauseOrder("cart"))
    assert result.answer == {"paused": {"cart": 1.0}}
    assert result.by.endswith(by)


def test_a_line_of_a_standby_comes_once_for_each_leader(monkeypatch):
    """However long it waits. A live view is drawn again each time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=200)
    view = progress_view(console, live=False)
    with view:
        for seconds, words in ((0, "one"), (1, "one"), (1, "two"), (1, "two"), (99, "two")):
            now[0] += seconds
            view.show_standby(f"standby: the leader is {words}")
    said = console.file.getvalue().splitlines()
    assert [line.rpartition(" ")[2] for line in said] == ["one", "two"]
    live = Console(file=io.StringIO(), width=200, force_terminal=True)
    with progress_view(live, live=True) as drawn:
        drawn.show_standby("standby: the leader is one")
    assert "the leader is one" in live.file.getvalue()


@pytest.mark.parametrize(
    ("telemetry", "terminal", "lines"),
    [
        ({}, True, 1),
        ({}, False, 0),
        ({"log_format": "json"}, True, 0),
        ({"log_format": "console"}, False, 1),
        ({"log_file": "run.log", "log_format": "json"}, False, 1),
    ],
)
def test_between_lines_of_json_there_is_no_line_of_a_standby(
    monkeypatch, telemetry, terminal, lines
):
    """The log has the event `run.standby` there, which programs can read."""
    monkeypatch.setattr(run.sys.stderr, "isatty", lambda: terminal, raising=False)
    sets = [f"telemetry.{key}={value}" for key, value in telemetry.items()]
    console = Console(file=io.StringIO(), width=200)
    view = progress_view(console, live=False, json_log=run._has_json_log(settings(*sets)))
    view.show_standby("standby: the leader is one")
    assert len(console.file.getvalue().splitlines()) == lines
