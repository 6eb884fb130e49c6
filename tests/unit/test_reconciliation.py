"""What is concluded about a send in doubt, case by case."""

from dataclasses import replace

import pytest

from dispatcher.domain.evidence import NEVER_SHOWN, DeliveryWitness, Evidence, digest, newest_shown
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.reconcile_policy import MIN_LOOK_BACK_SECONDS, ReconcilePolicy
from dispatcher.domain.reconciliation import (
    MessageFound,
    judge,
)
from dispatcher.domain.status import Relation, Resolution, Step
from dispatcher.domain.unsettled_send import UnsettledSend

AT = 1000.0
POLICY = ReconcilePolicy(
    timeout=1, max_effect_delay=2, max_lag=3, clock_skew=4, look_seconds=5, give_up_seconds=100
)
BOUND = AT + 10
AT_LEAST_ONCE = replace(POLICY, resend=True)
TEXT = "Hello"
NOTIFIED = UnsettledSend(1, Step.NOTIFY, "c-1", None, digest(TEXT), AT)
OPENED = UnsettledSend(1, Step.OPEN, "c-1", "x-1", digest(TEXT), AT)
UNLINKED = replace(OPENED, conversation_id=None)


def message(id_="m-1", at=AT + 1, text=TEXT, *, outbound=True):
    return PastMessage(id_, outbound, at, text)


def session(*messages, id_="c-1", previous=None, identity="x-1"):
    return PastConversation(id_, previous, identity, messages)


def continuation(*messages, id_="n-1", previous="c-1", identity="x-1"):
    return session(*(messages or (message(),)), id_=id_, previous=previous, identity=identity)


def judged(intended, *shown, policy=POLICY, now=AT + 5, waited=0.0, **known):
    return judge(intended, Evidence(shown, **known), policy, now, waited)


def test_a_notification_that_is_shown_is_found():
    """Conversation, direction, text and time fit, and nobody else has it."""
    found = judged(NOTIFIED, session(message()))
    assert found == MessageFound("c-1", "m-1", Relation.NOTIFIED, AT + 1)


def test_an_opened_conversation_that_is_shown_is_found():
    """It names the previous one and the same person; its first message is ours."""
    shown = continuation(message("m-2", AT + 2), message("m-1", AT + 1))
    assert judged(OPENED, shown) == MessageFound("n-1", "m-1", Relation.LINKED, AT + 1)


def test_an_open_that_the_platform_put_into_the_old_conversation_is_threaded():
    """The message is in the previous conversation itself."""
    assert judged(OPENED, session(message())) == MessageFound(
        "c-1", "m-1", Relation.THREADED, AT + 1
    )


NOT_OURS = {
    "another conversation": session(message(), id_="c-2"),
    "what the guest wrote": session(message(outbound=False)),
    "another text, too late for ours": session(message(at=BOUND, text="Hello.")),
    "before the intent": session(message(at=AT - 4.01)),
    "another's message": session(message("taken")),
    "no message yet": session(),
}
NOT_OUR_CONTINUATION = {
    "of another conversation": continuation(previous="c-2"),
    "with another person": continuation(identity="x-2"),
    "that another opened": continuation(id_="taken"),
    "of another's message": continuation(message("taken")),
    "with another text, too late": continuation(message(at=BOUND, text="Hi")),
    "from before the intent": continuation(message(at=AT - 5)),
    "that is older than the intent": continuation(message("m-0", AT - 5, "Welcome"), message()),
    "that a guest had begun": continuation(message("m-0", AT - 5, outbound=False), message()),
    "without a message": session(id_="n-1", previous="c-1"),
    "with a message from before": continuation(message("in", AT - 5, outbound=False), message()),
}
CASES = [
    *((NOTIFIED, name, shown) for name, shown in NOT_OURS.items()),
    *((OPENED, name, shown) for name, shown in NOT_OUR_CONTINUATION.items()),
]
TAKEN = {"messages": frozenset({"taken"}), "conversations": frozenset({"taken"})}


@pytest.mark.parametrize(
    ("intended", "shown"),
    [(intended, shown) for intended, _, shown in CASES],
    ids=[f"{intended.step}: {name}" for intended, name, _ in CASES],
)
def test_what_does_not_fit_is_not_ours(intended, shown):
    """It is waited for until the bound; then it is absent, if the look back has caught up."""
    assert judged(intended, shown, **TAKEN) is None
    late = judged(intended, shown, now=BOUND + 1, analytics_watermark=BOUND + 0.5, **TAKEN)
    assert late == Resolution.ABSENT


@pytest.mark.parametrize("text", ["Hello\r\n", "", "Hi"])
@pytest.mark.parametrize(
    ("intended", "shown"), [(NOTIFIED, session()), (OPENED, session(id_="n-1", previous="c-1"))]
)
def test_a_message_with_another_text_may_be_ours(intended, shown, text):
    """The platform may have changed it: the contact waits, and is parked at last."""
    known = {"now": BOUND + 1, "analytics_watermark": BOUND + 0.5}
    altered = replace(shown, messages=(message(text=text),))
    assert judged(intended, altered, **known) is None
    assert judged(intended, altered, waited=100, **known) == Resolution.PARKED
    of_another = {**known, "messages": frozenset({"m-1"})}
    assert judged(intended, altered, **of_another) == Resolution.ABSENT


@pytest.mark.parametrize("at", [None, AT + 1], ids=["no time", "after the intent"])
@pytest.mark.parametrize(
    ("intended", "shown"), [(NOTIFIED, session()), (OPENED, session(id_="n-1", previous="c-1"))]
)
def test_a_message_that_cannot_be_read_is_not_proved_absent(intended, shown, at):
    """It may be ours: the contact waits, and is parked at last."""
    known = {"now": BOUND + 1, "analytics_watermark": BOUND + 0.5}
    assert judged(intended, shown, **known) == Resolution.ABSENT
    unread = replace(shown, unread=(at,))
    assert judged(intended, unread, **known) is None
    assert judged(intended, unread, waited=100, **known) == Resolution.PARKED
    found = replace(unread, messages=(message(),))
    assert isinstance(judged(intended, found, **known), MessageFound)


@pytest.mark.parametrize(
    ("intended", "shown"),
    [
        (NOTIFIED, replace(session(), unread=(AT - 5,))),
        (NOTIFIED, replace(session(id_="c-2"), unread=(None,))),
        (OPENED, replace(session(id_="n-1", previous="c-2"), unread=(None,))),
        (OPENED, replace(session(id_="n-1", previous="c-1", identity="x-2"), unread=(None,))),
    ],
)
def test_a_message_that_cannot_be_read_and_is_not_ours_does_not_matter(intended, shown):
    """It is older than the intent, or in the conversation of another person."""
    known = {"now": BOUND + 1, "analytics_watermark": BOUND + 0.5}
    assert judged(intended, shown, **known) == Resolution.ABSENT


def test_the_clocks_may_differ_a_little():
    """A message up to the skew before the intent is ours all the same."""
    assert isinstance(judged(NOTIFIED, session(message(at=AT - 3.9))), MessageFound)
    begun = continuation(message("m-0", AT - 3.9, "Welcome"), message())
    assert judged(OPENED, begun) == MessageFound("n-1", "m-1", Relation.LINKED, AT + 1)


def test_an_older_message_in_the_earlier_session_itself_says_nothing():
    """Only a new conversation begins with our send: the earlier one has a past."""
    shown = session(message("m-0", AT - 500, "Welcome"), message())
    assert isinstance(judged(NOTIFIED, shown), MessageFound)
    assert isinstance(judged(OPENED, shown), MessageFound)


@pytest.mark.parametrize(
    ("delay", "ended_at", "seconds"),
    [(2, None, MIN_LOOK_BACK_SECONDS), (7000, None, 7008), (2, AT + 9000, 9009)],
)
def test_sends_of_others_count_as_far_back_as_they_may_take_effect_late(delay, ended_at, seconds):
    """At least an hour before the intent; more where a late effect may take more."""
    policy = replace(POLICY, max_effect_delay=delay)
    assert policy.rivals_since(replace(OPENED, ended_at=ended_at)) == AT - seconds


@pytest.mark.parametrize(
    ("now", "analytics_watermark", "verdict"),
    [
        (BOUND, BOUND + 99, None),
        (BOUND + 1, NEVER_SHOWN, None),
        (BOUND + 1, BOUND, None),
        (BOUND + 1, BOUND + 0.1, Resolution.ABSENT),
    ],
)
def test_absence_needs_the_time_and_a_witness(now, analytics_watermark, verdict):
    """Asked after the bound, and a message of ours from after the bound is shown."""
    assert judged(NOTIFIED, now=now, analytics_watermark=analytics_watermark) == verdict


def test_a_request_that_left_late_has_its_effect_later():
    """A commit or a token may hold it up: the time counts from its end, where that is known."""
    late = replace(NOTIFIED, ended_at=AT + 31)
    assert POLICY.visible_by(late) == BOUND + 30
    assert judged(late, now=BOUND + 30, analytics_watermark=BOUND + 99) is None
    assert judged(late, now=BOUND + 31, analytics_watermark=BOUND + 31) == Resolution.ABSENT
    assert POLICY.visible_by(replace(NOTIFIED, ended_at=AT + 0.5)) == BOUND


def test_without_a_witness_it_is_parked_in_the_end():
    """Nobody waits for ever."""
    assert judged(NOTIFIED, now=BOUND + 50, waited=99) is None
    assert judged(NOTIFIED, now=BOUND + 50, waited=100) == Resolution.PARKED


def test_a_continuation_that_names_nobody_proves_neither_way():
    """It may be ours: it is not settled, and it is no absence."""
    shown = continuation(identity=None)
    late = {"now": BOUND + 1, "analytics_watermark": BOUND + 1}
    assert judged(OPENED, shown, **late) is None
    assert judged(OPENED, shown, waited=100, **late) == Resolution.PARKED


def test_an_unlinked_open_has_nothing_to_be_found_by():
    """It is parked, whatever is shown."""
    assert judged(UNLINKED, continuation(previous=None), now=AT) == Resolution.PARKED


@pytest.mark.parametrize("intended", [NOTIFIED, OPENED, UNLINKED])
def test_at_least_once_sends_again_after_the_bound(intended):
    """No witness is asked for; before the bound it waits as well."""
    assert judged(intended, policy=AT_LEAST_ONCE, now=BOUND) is None
    assert judged(intended, policy=AT_LEAST_ONCE, now=BOUND + 0.1) == Resolution.RESENT


def test_at_least_once_prefers_what_is_found_and_what_is_proved():
    """The policy changes nothing if the platform shows the message."""
    assert isinstance(judged(NOTIFIED, session(message()), policy=AT_LEAST_ONCE), MessageFound)
    late = {"now": BOUND + 1, "analytics_watermark": BOUND + 1}
    assert judged(NOTIFIED, policy=AT_LEAST_ONCE, **late) == Resolution.ABSENT


TWICE = session(message("m-1", AT + 1), message("m-2", AT + 2))


def test_between_two_messages_nothing_is_guessed():
    """Both fit equally: it waits in case one turns out to be another's, then it is parked."""
    assert judged(NOTIFIED, TWICE) is None
    assert judged(NOTIFIED, TWICE, now=BOUND + 1) == Resolution.PARKED
    assert judged(NOTIFIED, TWICE, messages=frozenset({"m-1"})).message_id == "m-2"


def test_one_message_for_two_that_wait_is_nobodys():
    """Either may have sent it; both are parked once neither can get another."""
    rival = replace(NOTIFIED, id=2, at=AT + 2)
    one = session(message(at=AT + 3))
    for mine, other in ((NOTIFIED, rival), (rival, NOTIFIED)):
        assert judged(mine, one, unsettled=[other]) is None
        assert judged(mine, one, now=BOUND + 1, unsettled=[other]) is None
        assert judged(mine, one, now=BOUND + 3, unsettled=[other]) == Resolution.PARKED


def test_a_message_from_before_the_other_send_is_the_first_ones():
    """Two campaigns, the same person and text: each gets the message that only it can have made."""
    first, second = NOTIFIED, replace(NOTIFIED, id=2, at=AT + 60)
    shown = session(message("m-1", AT + 1), message("m-2", AT + 61))
    assert judged(first, shown, now=AT + 70, unsettled=[second]).message_id == "m-1"
    assert judged(second, shown, now=AT + 70, unsettled=[first]) is None
    taken = frozenset({"m-1"})
    assert judged(second, shown, now=AT + 70, messages=taken).message_id == "m-2"


@pytest.mark.parametrize(
    "other",
    [
        replace(NOTIFIED, id=2, conversation_id="c-2"),
        replace(NOTIFIED, id=2, text_sha256=digest("another")),
        replace(OPENED, id=2),
        NOTIFIED,
    ],
    ids=["another conversation", "another text", "another step", "itself"],
)
def test_who_cannot_have_sent_it_is_no_rival(other):
    """Only a send that is the same in all recorded attributes makes a match doubtful."""
    assert isinstance(judged(NOTIFIED, session(message()), unsettled=[other]), MessageFound)


def test_the_look_back_has_caught_up_to_the_newest_message_of_ours_that_it_shows():
    """By conversation, message id where it is known, and text as it was sent."""
    shown = [
        session(message("m-1", 5.0), message("m-2", 9.0, "other"), id_="c-1"),
        session(message("m-3", 7.0), message("m-4", 99.0, outbound=False), id_="c-2"),
    ]
    hello = digest(TEXT)
    assert newest_shown(shown, [DeliveryWitness("c-1", "m-1", hello)]) == 5.0
    assert (
        newest_shown(
            shown, [DeliveryWitness("c-1", None, hello), DeliveryWitness("c-2", None, hello)]
        )
        == 7.0
    )
    assert newest_shown(shown, [DeliveryWitness("c-1", "m-2", hello)]) == NEVER_SHOWN
    assert newest_shown(shown, [DeliveryWitness("c-3", None, hello)]) == NEVER_SHOWN
    assert newest_shown([], []) == NEVER_SHOWN


def test_the_pauses_grow_between_two_bounds():
    """From the setting on, with the time waited, up to ten minutes."""
    assert [POLICY.pause(waited) for waited in (0, 10, 40, 10_000)] == [5, 10, 40, 600]
    assert POLICY.visible_by(NOTIFIED) == BOUND
    assert POLICY.first_look(linked=True) == 5
    assert POLICY.first_look(linked=False) == 0
    assert AT_LEAST_ONCE.first_look(linked=False) == 5


def test_what_is_shown_twice_is_one_message():
    """A conversation may come back for two of the ids in the query."""
    assert judged(OPENED, continuation(), continuation()).message_id == "m-1"


UPPER, LOWER = "ABCDEF01-0000-4000-8000-00000000000A", "abcdef01-0000-4000-8000-00000000000a"


def test_a_uuid_in_another_case_is_the_same_conversation_and_person():
    """The ledger has what the file had, the platform shows its own spelling."""
    opened = replace(OPENED, conversation_id=UPPER, external_contact_id=UPPER)
    shown = continuation(previous=LOWER, identity=LOWER)
    assert judged(opened, shown) == MessageFound("n-1", "m-1", Relation.LINKED, AT + 1)
    threaded = session(message(), id_=LOWER, identity=LOWER)
    assert judged(opened, threaded) == MessageFound(LOWER, "m-1", Relation.THREADED, AT + 1)


def test_a_message_of_another_contact_is_known_in_any_case():
    """It is not taken for this contact's."""
    shown = session(message(LOWER))
    late = BOUND + 1
    for known in ({LOWER}, {UPPER}):
        verdict = judged(
            NOTIFIED, shown, now=late, messages=frozenset(known), analytics_watermark=late
        )
        assert verdict is Resolution.ABSENT


def test_a_rival_is_one_in_any_case():
    """Two unsettled sends of one text to one conversation: the message is attributed to neither."""
    mine = replace(NOTIFIED, conversation_id=UPPER)
    rival = replace(NOTIFIED, id=2, conversation_id=LOWER)
    shown = session(message(), id_=LOWER)
    assert judged(mine, shown, unsettled=(mine, rival)) is None
    assert judged(mine, shown, unsettled=(mine,)) is not None


def test_a_witness_is_one_in_any_case():
    """What the analytics show of it counts."""
    shown = [session(PastMessage(LOWER, True, AT, None), id_=LOWER)]
    assert newest_shown(shown, [DeliveryWitness(UPPER, UPPER, "")]) == AT
