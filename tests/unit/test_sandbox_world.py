"""The world: what each kind of conversation shows and answers."""

import pytest

from dispatcher.sandbox.conversation_kinds import KINDS, SendVerdict
from dispatcher.sandbox.scenario.model import WorldRules
from dispatcher.sandbox.world.ids import address, external_contact_id, guest_id
from dispatcher.sandbox.world.world import SendTarget, World

ACCEPTED = SendVerdict.ACCEPTED


@pytest.fixture
def world():
    return World(WorldRules(ended_after=1.0, leaves_after=5.0), seed=1)


def link(world, conversation_id, now=0.0, external=None, target=None):
    external = external_contact_id(conversation_id) if external is None else external
    target = target or SendTarget(guest_id(conversation_id), None)
    return world.try_link(conversation_id, external, target, now)


def state(world, conversation_id, now=0.0):
    view = world.look(conversation_id, now, checks=1)
    return None if view is None else view.state


@pytest.mark.parametrize(
    ("kind", "shown", "notified", "linked"),
    [
        ("active", "active", "taken", "previous_open"),
        ("ringing", "ringing", "taken", "previous_open"),
        ("ended", "ended", "closed", "taken"),
        ("neverends", "closed", "closed", "not_ended"),
        ("gone", None, "gone", "gone"),
        ("stranger", "ended", "closed", "identity"),
        ("noidentity", "ended", "closed", "identity"),
        ("swapped", "ended", "closed", "taken"),
        ("loop", "ended", "closed", "loop"),
        ("stubborn", "active", "closed", "previous_open"),
        ("channel", "ended", "closed", "channel"),
        ("channelopen", "active", "taken", "previous_open"),
        ("hidden", "ended", "closed", "channel"),
        ("unknown", "hibernating", "closed", "not_ended"),
        ("noaddress", "ended", "closed", "target"),
    ],
)
def test_kinds_that_do_not_change(world, kind, shown, notified, linked):
    """The same answers repeat, and nothing is stored for them."""
    for now in (0.0, 100.0):
        assert state(world, f"{kind}-1", now) == shown
        assert world.try_notify(f"{kind}-1", now)[0] == notified
        assert link(world, f"{kind}-1", now) == linked
    assert world._records == {}


@pytest.mark.parametrize("kind", ["forbidden", "refused", "redirected"])
def test_contacts_that_are_refused_for_themselves(world, kind):
    """Half of them are active and half ended; every send gets the same refusal."""
    ids = [f"{kind}-{n}" for n in range(200)]
    active = [one for one in ids if state(world, one) == "active"]
    assert 70 < len(active) < 130
    assert {world.try_notify(one, 0.0)[0] for one in ids} == {KINDS[kind].verdict}
    assert {link(world, one) for one in ids} == {KINDS[kind].verdict}


def test_closed_becomes_ended_some_time_after_the_first_look(world):
    assert state(world, "closed-1", 10.0) == "closed"
    assert link(world, "closed-1", 10.9) is SendVerdict.NOT_ENDED
    assert link(world, "closed-1", 11.0) is ACCEPTED
    assert state(world, "closed-2", 11.0) == "closed"


def test_peeking_sets_nothing_in_motion(world):
    assert world.look("closed-1", 0.0, remember=False).state == "closed"
    assert state(world, "closed-1", 50.0) == "closed"


def test_closing_closes_when_the_notification_comes(world):
    assert state(world, "closing-1", 0.0) == "active"
    assert link(world, "closing-1", 0.0) is SendVerdict.PREVIOUS_OPEN
    assert world.try_notify("closing-1", 5.0)[0] is SendVerdict.CLOSED
    assert state(world, "closing-1", 5.5) == "closed"
    assert link(world, "closing-1", 5.5) is SendVerdict.NOT_ENDED
    assert link(world, "closing-1", 6.0) is ACCEPTED


def test_leaving_goes_by_itself(world):
    states = [state(world, "leaving-1", now) for now in (0.0, 4.9, 5.0, 5.9, 6.0)]
    assert states == ["active", "active", "closed", "closed", "ended"]


def test_returning_is_back_when_the_link_comes(world):
    assert state(world, "returning-1") == "ended"
    assert link(world, "returning-1") is SendVerdict.PREVIOUS_OPEN
    assert state(world, "returning-1") == "active"
    assert world.try_notify("returning-1", 0.0)[0] is ACCEPTED


def test_notactive_refuses_the_first_notification(world):
    assert world.try_notify("notactive-1", 0.0)[0] is SendVerdict.NOT_ACTIVE
    assert world.try_notify("notactive-1", 0.0)[0] is ACCEPTED


def test_vanished_is_gone_for_the_notification_and_ended_afterwards(world):
    assert state(world, "vanished-1") == "active"
    assert world.try_notify("vanished-1", 0.0)[0] is SendVerdict.GONE
    assert state(world, "vanished-1") == "ended"
    assert link(world, "vanished-1") is ACCEPTED


def test_waking_is_unknown_for_two_checks(world):
    assert link(world, "waking-1") is SendVerdict.NOT_ENDED
    assert [state(world, "waking-1") for _ in range(3)] == ["hibernating", "hibernating", "ended"]


def test_a_link_needs_the_right_identity_and_target(world):
    assert link(world, "ended-1", external="x-ended-2") is SendVerdict.IDENTITY
    assert (
        world.try_link("ended-1", None, SendTarget("g-ended-1", None), 0.0) is SendVerdict.IDENTITY
    )
    assert link(world, "ended-1", target=SendTarget("g-ended-2", None)) is SendVerdict.TARGET
    assert link(world, "ended-1", target=SendTarget(None, address("ended-1"))) is ACCEPTED


def test_a_second_link_to_the_same_previous_makes_another_conversation(world):
    first, second = world.open_linked("ended-1"), world.open_linked("ended-1")
    assert first != second
    view = world.look(first, 0.0, checks=1)
    assert (view.state, view.previous, view.guest) == ("active", "ended-1", "g-ended-1")
    assert world.try_notify(second, 0.0)[0] is ACCEPTED
    assert world.look("new-7-ended-1", 0.0, checks=1) is None
    assert world.look("new-x-ended-1", 0.0, checks=1) is None
    assert world.look("new-0-ended-2", 0.0, checks=1) is None
    assert world.look("new-" + "9" * 5000 + "-ended-1", 0.0, checks=1) is None


def test_an_unlinked_conversation_keeps_whom_it_was_opened_for(world):
    new = world.open_unlinked("x-7", SendTarget(None, "a-7"))
    view = world.look(new, 0.0, checks=1)
    assert (view.external_contact_id, view.address, view.previous) == ("x-7", "a-7", None)


def test_other_ids_get_their_kind_from_the_seed():
    rules = WorldRules(shares={"ended": 3.0, "gone": 1.0})
    ids = [f"6f1c{n}" for n in range(1000)]
    kinds = [World(rules, 1).kind_of(one).name for one in ids]
    assert kinds == [World(rules, 1).kind_of(one).name for one in ids]
    assert kinds != [World(rules, 2).kind_of(one).name for one in ids]
    assert 200 < kinds.count("gone") < 300


def test_conversations_of_a_kind_turn_into_another_one(world):
    """Also those that were looked at before; the others stay."""
    assert state(world, "ended-1") == "ended"
    world.turn({"ended": "active"})
    assert state(world, "ended-1") == "active"
    assert link(world, "ended-1") == "previous_open"
    assert world.try_notify("ended-1", 0.0)[0] is ACCEPTED
    assert state(world, "neverends-1") == "closed"
