"""The smaller parts: tokens, faults, latency, events, effects, and files of contacts."""

import asyncio
import csv
import json
from base64 import b64encode
from collections import Counter
from hashlib import sha256

import pytest

from dispatcher.sandbox.contact_files import expected, write_contacts
from dispatcher.sandbox.conversation_kinds import KINDS
from dispatcher.sandbox.fault_injection import FaultPlan
from dispatcher.sandbox.latency import Latency, drawer
from dispatcher.sandbox.oauth import Grants
from dispatcher.sandbox.scenario.events import EventSchedule
from dispatcher.sandbox.scenario.model import (
    READ_SCOPES,
    WRITE_SCOPES,
    Analytics,
    Event,
    Fault,
    Spread,
    TokenRules,
)
from dispatcher.sandbox.world.effect_log import Effect, EffectLog
from dispatcher.sandbox.world.message_archive import MessageArchive
from dispatcher.sandbox.world.random import generator

FORM = b"grant_type=client_credentials"


def issue(grants, scope="", now=0.0):
    issued = grants.issue(FORM + b"&scope=" + scope.encode(), now)
    return issued, b"Bearer " + issued["access_token"].encode()


def effect(number=1, **fields):
    values = {
        "kind": "linked",
        "conversation_id": f"new-{number}-ended-1",
        "previous_id": "ended-1",
        "external_contact_id": "x-ended-1",
        "to": "g-ended-1",
        "text": "Hello",
        "time": 100.0,
    }
    return Effect(**(values | fields))


def test_only_the_right_client_is_known():
    grants = Grants(TokenRules(client_id="me", client_secret="pass"))
    assert grants.knows_client(b"Basic " + b64encode(b"me:pass"))
    assert not grants.knows_client(b"Basic " + b64encode(b"me:word"))
    assert not grants.knows_client(b"")


def test_a_token_has_what_was_asked_and_granted():
    grants = Grants(TokenRules(granted=(READ_SCOPES[0],)))
    issued, header = issue(grants, f"{READ_SCOPES[0]}+{WRITE_SCOPES[0]}")
    assert issued["scope"] == READ_SCOPES[0]
    token = grants.find(header, 0.0)
    assert (token.can_read, token.can_write) == (True, False)
    assert issue(grants)[0]["scope"] == READ_SCOPES[0]
    assert grants.issue(b"grant_type=password", 0.0) is None


@pytest.mark.parametrize("name", WRITE_SCOPES)
def test_either_name_of_the_write_scope_permits_sends(name):
    grants = Grants(TokenRules(granted=(name,)))
    assert grants.find(issue(grants)[1], 0.0).can_write


def test_a_revoked_scope_takes_effect_on_issued_tokens_and_comes_back_to_them():
    grants = Grants(TokenRules())
    token = grants.find(issue(grants)[1], 0.0)
    grants.change(READ_SCOPES, True)
    assert (token.can_write, grants.may_write, grants.mask) == (False, False, True)
    poor = grants.find(issue(grants)[1], 0.0)
    grants.change(READ_SCOPES + WRITE_SCOPES, None)
    assert (token.can_write, poor.can_write, grants.mask) == (True, False, True)


def test_tokens_can_die_earlier_than_they_claim():
    grants = Grants(TokenRules(expires_in=3600, lives=3.0))
    issued, header = issue(grants)
    assert issued["expires_in"] == 3600
    assert grants.find(header, 2.9) is not None
    assert grants.find(header, 3.0) is None
    issue(grants, now=500.0)
    assert len(grants._tokens) == 1
    grants.expire_all()
    assert grants._tokens == {}


def test_faults_come_by_count_time_and_chance_and_the_same_for_one_seed():
    def hits(number, **fields):
        plan = FaultPlan([Fault("slow", ("open",), **fields)], seed=1)
        return [n for n in range(1, number + 1) if plan.draw("open", n / 10)]

    assert hits(10, every=3) == [3, 6, 9]
    assert hits(10, nth=(2, 5)) == [2, 5]
    assert hits(10, from_seconds=0.4, until_seconds=0.6) == [4, 5]
    assert hits(3) == [1, 2, 3]
    assert hits(3, probability=0.0) == []
    assert hits(1000, probability=0.1) == hits(1000, probability=0.1)
    assert 70 < len(hits(1000, probability=0.1)) < 130


def test_the_earlier_rule_wins_and_other_endpoints_are_left_alone():
    plan = FaultPlan([Fault("slow", ("open",), every=2), Fault("cut_body", ("open",))], seed=1)
    assert [plan.draw("open", 0.0).kind for _ in range(4)] == ["cut_body", "slow"] * 2
    assert plan.draw("check", 0.0) is None


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


async def test_events_come_at_their_time_and_after_so_many_effects():
    happened = []
    events = [
        Event("down", at_seconds=0.01),
        Event("grant", after_effects=5, delay_seconds=0.02),
        Event("revoke", after_effects=5),
        Event("expire_tokens", after_effects=2),
    ]
    timeline = EventSchedule(events, lambda event: happened.append(event.action))
    for count in range(1, 6):
        timeline.on_effect(count)
    assert happened == ["expire_tokens", "revoke"]
    timeline.start()
    await asyncio.sleep(0.05)
    assert happened == ["expire_tokens", "revoke", "down", "grant"]


async def test_a_stopped_timeline_does_nothing_more():
    happened = []
    timeline = EventSchedule([Event("down", at_seconds=0.01)], happened.append)
    timeline.start()
    timeline.stop()
    await asyncio.sleep(0.03)
    assert happened == []


async def test_the_log_has_one_line_per_effect_soon_and_at_close(tmp_path):
    path = tmp_path / "effects.jsonl"
    counts = []
    log = EffectLog(path, with_text=True, on_effect=counts.append)
    assert [log.add(effect(n)) for n in range(2)] == ["m-00000001", "m-00000002"]
    await asyncio.sleep(0.15)
    assert path.read_text().count("\n") == 2
    log.add(effect(2))
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["n"] for line in lines] == counts == [1, 2, 3]
    assert lines[0] == {
        "n": 1,
        "time": 100.0,
        "kind": "linked",
        "conversationId": "new-0-ended-1",
        "previousConversationId": "ended-1",
        "externalContactId": "x-ended-1",
        "to": "g-ended-1",
        "messageId": "m-00000001",
        "text_sha256": sha256(b"Hello").hexdigest(),
        "text": "Hello",
    }


def test_looking_back_lags_by_message():
    """Stragglers come later than the others, and the same ones for one seed."""
    history = MessageArchive(
        Analytics(lag_seconds=5, straggler_share=0.2, straggler_lag_seconds=60), 1
    )
    for number in range(200):
        history.add(effect(number), f"m-{number}")
    counts = [len(history.continuing("ended-1", now)) for now in (104.9, 105.0, 160.0)]
    assert counts[0] == 0
    assert 140 < counts[1] < 180
    assert counts[2] == 200
    assert len(history.messages("new-3-ended-1", 160.0)) == 1


def test_messages_are_not_kept_where_nobody_looks_back():
    history = MessageArchive(Analytics(keep=False), 1)
    history.add(effect(), "m-1")
    assert history.continuing("ended-1", 1e9) == []


def test_a_file_of_contacts(tmp_path):
    path = tmp_path / "contacts.csv"
    shares = {"ended": 8, "stranger": 1, "noidentity": 1}
    written = write_contacts(path, count=25_000, shares=shares, seed=5, with_keys=True)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["conversation_id"] for row in rows}) == 25_000
    assert Counter(row["conversation_id"].split("-")[0] for row in rows) == written
    by_kind = {row["conversation_id"].split("-")[0]: row for row in rows}
    ended, stranger = by_kind["ended"], by_kind["stranger"]
    assert ended["external_contact_id"] == "x-" + ended["conversation_id"]
    assert stranger["external_contact_id"].startswith("x-somebody-else-")
    assert by_kind["noidentity"]["external_contact_id"] == ""
    assert rows[7]["contact_key"] == "k-7"


def test_the_same_seed_gives_the_same_file(tmp_path):
    for name in ("a", "b"):
        write_contacts(tmp_path / name, count=100, shares={"ended": 1, "gone": 1}, seed=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_to_be_filtered_are_not_counted(tmp_path):
    path = tmp_path / "c.csv"
    written = write_contacts(path, count=1000, shares={"ended": 1}, skip_share=0.3)
    assert path.read_text().count(",abandoned\n") == written.total()
    assert 200 < path.read_text().count(",completed\n") < 400


def test_every_kind_says_how_it_should_end():
    assert expected("neverends") == ("parked", "never_ended")
    assert {expected(kind)[0] for kind in KINDS} == {"notified", "opened", "parked", "rejected"}
