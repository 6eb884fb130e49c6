"""Sends without an answer, through the installed command: within the bounds and beyond them."""

import asyncio
import json
import time
from collections import Counter

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Step
from dispatcher.ports import Batch, Intent
from tests.support.ledgers import open_store
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_metrics_match,
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    play,
)

BOUNDS = {
    "platform.timeout_seconds": 1,
    "reconcile.max_effect_delay_seconds": 1,
    "reconcile.max_lag_seconds": 1.2,
    "reconcile.clock_skew_seconds": 1,
    "reconcile.look_seconds": 0.2,
}
BOUND = 4.2
FAULTS = """
[rate]
allowed = 2000
window_seconds = 2.0

[[fault]]
kind = "reset_before"
endpoints = ["check", "notify", "open"]
probability = 0.025

[[fault]]
kind = "reset_after"
endpoints = ["check", "notify", "open"]
probability = 0.025

[[fault]]
kind = "late_effect"
endpoints = ["notify", "open"]
probability = 0.02
delay = { kind = "uniform", low_ms = 100, high_ms = 800 }

[[fault]]
kind = "error_500"
endpoints = ["check", "notify", "open"]
probability = 0.02

[[fault]]
kind = "error_503_html"
endpoints = ["check", "notify", "open"]
probability = 0.01

[world.shares]
ended = 1
active = 1

[analytics]
"""
ELSEWHERE = {"spring": 3, "autumn": 1}
LATER = 40
"""Contacts of the second run, whose messages prove what became of the first one's."""


def written(folder, analytics):
    path = folder / "scenario.toml"
    path.write_text(FAULTS + analytics)
    return path


def split(played):
    """Keep some contacts back for a second run; return both files."""
    head, *rows = played.contacts.read_text().splitlines()
    first, second = played.folder / "first.csv", played.folder / "second.csv"
    first.write_text("\n".join([head, *rows[:-LATER]]) + "\n")
    second.write_text("\n".join([head, *rows[-LATER:]]) + "\n")
    return first, second


def who_was_reached(effect):
    return effect["previousConversationId"] or effect["conversationId"]


def resolutions(played):
    """How contacts in doubt ended so far, once all metrics have arrived."""
    played.metrics.settle()
    return played.metrics.series("dispatcher.in_doubt", "resolution")


@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_within_the_bounds_everybody_is_reached_once_and_nobody_is_parked(tmp_path, dialect):
    """Found ones are settled; the others are sent again, once later messages are shown."""
    scenario = written(
        tmp_path, "lag_seconds = 0.3\nstraggler_share = 0.05\nstraggler_lag_seconds = 1.0\n"
    )
    with play(tmp_path, scenario, 500, BOUNDS, dialect=dialect) as played:
        whole, (first, second) = played.contacts, split(played)
        played.contacts = first
        ended = played.run("--wait-limit", str(BOUND + 1))
        assert ended.returncode == 10, ended.stderr
        ends = played.settled()
        assert "parked" not in {status for status, _ in ends.values()}
        left = {who for who, end in ends.items() if end == ("in_doubt", None)}
        assert 0 < len(left) < 100
        time.sleep(BOUND)  # from here on every message of the second run is a witness
        lost = left - {who_was_reached(effect) for effect in played.sandbox.effects()}
        before = resolutions(played)
        played.sandbox.post("faults", faults=[])
        played.contacts = second
        ended = played.run("--wait-limit", "60")
        assert ended.returncode == 0, ended.stderr
        played.contacts = whole
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        assert_each_ends_as_the_table_says(played)
        assert_metrics_match(played)
        after = resolutions(played)
        # a slow first run finds out about some by itself: its own later messages are shown in time
        assert after["absent",] - before["absent",] == len(lost)
        assert after["found",] - before["found",] >= len(left - lost)
        assert after["found",] > 0
        assert after["parked",] == after["resent",] == 0
        for failure in ("scope_errors", "closed_session_conflicts", "retry_loops"):
            assert played.metrics.total(f"dispatcher.{failure}") == 0


@pytest.mark.parametrize("dialect", ["genesys"], indirect=True)
def test_beyond_the_bounds_they_are_parked_and_nobody_is_reached_twice(tmp_path, dialect):
    """Analytics that show nothing prove nothing: no send is repeated.

    In `genesys` an open conversation tells its messages itself, and those are found.
    """
    scenario = written(tmp_path, "lag_seconds = 600\n")
    settings = BOUNDS | {"reconcile.give_up_hours": 0.0005}
    with play(tmp_path, scenario, 200, settings, dialect=dialect) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        ends = played.status_counts()
        delivered = {("notified", "delivered"), ("opened", "delivered")}
        assert set(ends) == delivered | {("parked", "in_doubt")}
        made = played.metrics.series("dispatcher.in_doubt", "resolution")
        assert made["parked",] == ends["parked", "in_doubt"] > 0
        told = {resolution for (resolution,), number in made.items() if number}
        assert told <= ({"parked", "found"} if dialect == "genesys" else {"parked"})


async def leave_in_doubt(ledger, campaign, count):
    """End like a run that was killed while so many sends were on their way."""
    store = await open_store(ledger, campaign)
    opened = await store.campaign(campaign)
    contacts = [Contact(f"key-{n}", f"{campaign}-{n}", "Hello") for n in range(count + 1)]
    claims = (await opened.admit(Batch(contacts), 0.0, count + 1)).claims
    for claim in claims[1:]:
        decision = Notify(claim.contact.conversation_id)
        await opened.intend(Intent(claim.id, Step.NOTIFY, decision, 0.0, NEW))
    await store.close()


def test_a_start_names_campaigns_whose_doubts_it_does_not_look_for(tmp_path):
    """They hold the same people up: with their names, and how many sends; its own it takes up."""
    with play(tmp_path, "plain", 4) as played:
        for campaign, count in {**ELSEWHERE, played.campaign: 2}.items():
            asyncio.run(leave_in_doubt(played.ledger, campaign, count))
        ended = played.run("--wait-limit", "1")
        assert ended.returncode == 10, ended.stderr
        lines = [json.loads(line) for line in played.log.read_text().splitlines()]
    told = [line for line in lines if line["event"] == "run.doubts_elsewhere"]
    assert {line["campaign"]: line["in_doubt"] for line in told} == ELSEWHERE
    assert {line["level"] for line in told} == {"warning"}
    (own,) = [line for line in lines if line["event"] == "run.started"]
    assert (own["campaign"], own["in_doubt"]) == (played.campaign, 2)


@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_at_least_once_leaves_nobody_out(tmp_path, dialect):
    """What is not found in time is sent again, so some get two messages, and none gets none."""
    scenario = written(tmp_path, "lag_seconds = 600\n")
    settings = BOUNDS | {
        "reconcile.delivery": "at-least-once",
        "reconcile.max_effect_delay_seconds": 0.1,
        "reconcile.max_lag_seconds": 0.1,
        "reconcile.clock_skew_seconds": 0.5,
    }
    with play(tmp_path, scenario, 200, settings, dialect=dialect) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_each_ends_as_the_table_says(played)
        reached = Counter(who_was_reached(effect) for effect in played.sandbox.effects())
        assert set(reached) == set(played.rows())
        assert max(reached.values()) > 1
        assert played.metrics.total("dispatcher.in_doubt", "resolution:resent") > 0
