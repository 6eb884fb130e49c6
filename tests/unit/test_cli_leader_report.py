"""Which dispatchers lead, in the words of `dispatcher status` and of commands."""

import io

import pytest
from rich.console import Console

from dispatcher.app.control import client
from dispatcher.app.leadership import held_json
from dispatcher.cli import progress
from dispatcher.cli.leader_report import is_led, leader_lines
from dispatcher.cli.progress import progress_view
from dispatcher.ports import HeldLease, Lease, LeaseKind
from dispatcher.ports.orders import PauseOrder

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


def test_lines_of_a_standby_come_once_and_then_every_ten_seconds(monkeypatch):
    """Another leader is told at once. A live view is drawn again each time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=200)
    view = progress_view(console, live=False)
    with view:
        for seconds, words in ((0, "one"), (1, "one"), (1, "two"), (1, "two"), (9, "two")):
            now[0] += seconds
            view.show_standby(f"standby: the leader is {words}")
    said = console.file.getvalue().splitlines()
    assert [line.rpartition(" ")[2] for line in said] == ["one", "two", "two"]
    live = Console(file=io.StringIO(), width=200, force_terminal=True)
    with progress_view(live, live=True) as drawn:
        drawn.show_standby("standby: the leader is one")
    assert "the leader is one" in live.file.getvalue()
