"""What no look back without texts and links, however odd, may lead to."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.evidence import NEVER_SHOWN, Evidence
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.reconciliation import (
    MessageFound,
    judge,
)
from dispatcher.domain.status import Relation, Resolution, Step
from dispatcher.domain.unsettled_send import UnsettledSend

NAMES = st.sampled_from(["a", "b", "c"])
PEOPLE = st.sampled_from(["x", "y"])
TIMES = st.integers(0, 40).map(float)
PROFILE = settings(max_examples=80, derandomize=True)
FOR_EVER = 1e9

intents = st.builds(
    UnsettledSend,
    st.integers(1, 3),
    st.sampled_from([Step.NOTIFY, Step.OPEN]),
    NAMES,
    st.none() | PEOPLE,
    st.sampled_from(["text", "another"]),
    TIMES,
    st.none() | TIMES,
)
policies = st.builds(
    ReconcilePolicy,
    timeout=st.integers(0, 5),
    max_effect_delay=st.integers(0, 5),
    max_lag=st.integers(0, 5),
    clock_skew=st.integers(0, 3),
    give_up_seconds=st.integers(0, 30),
    reports_links=st.just(False),
)


@st.composite
def histories(draw):
    """Conversations as a platform has them: each once, no message in two of them."""
    conversations = draw(st.lists(NAMES, unique=True, max_size=3))
    shown = []
    for conversation in conversations:
        times = draw(st.lists(st.tuples(TIMES, st.booleans()), max_size=3))
        messages = [
            PastMessage(f"{conversation}-{number}", outbound, at, None)
            for number, (at, outbound) in enumerate(times)
        ]
        person, readable = draw(st.none() | PEOPLE), draw(st.booleans())
        visible = tuple(messages) if readable else ()
        shown.append(
            PastConversation(
                conversation, None, person, visible, has_previous=False, readable=readable
            )
        )
    return shown


@st.composite
def situations(draw):
    shown = draw(histories())
    ids = [message.id for conversation in shown for message in conversation.messages]
    taken = draw(st.frozensets(st.sampled_from(ids))) if ids else frozenset()
    unsettled = draw(st.lists(intents, min_size=1, max_size=3, unique_by=lambda send: send.id))
    return Evidence(
        shown,
        taken,
        draw(st.frozensets(NAMES, max_size=1)),
        unsettled,
        draw(st.just(NEVER_SHOWN) | TIMES),
        draw(st.frozensets(NAMES, max_size=1)),
    )


@PROFILE
@given(known=situations(), policy=policies, now=TIMES)
def test_two_that_wait_never_get_one_message(known, policy, now):
    """Whichever texts they had, and whichever conversations they were meant for."""
    verdicts = [judge(send, known, policy, now, 0.0) for send in known.unsettled]
    found = [verdict.message_id for verdict in verdicts if isinstance(verdict, MessageFound)]
    assert len(set(found)) == len(found)
    assert not known.messages & set(found)


@PROFILE
@given(known=situations(), policy=policies, now=TIMES)
def test_what_is_found_is_in_its_place_and_its_time(known, policy, now):
    """Outbound, from the intent to the last effect, there or first in a new one of the person's."""
    for intended in known.unsettled:
        verdict = judge(intended, known, policy, now, 0.0)
        if not isinstance(verdict, MessageFound):
            continue
        earliest = intended.at - policy.clock_skew
        assert earliest <= verdict.sent_at <= policy.effective_by(intended)
        (shown,) = [
            conversation
            for conversation in known.shown
            if conversation.id == verdict.conversation_id
        ]
        (message,) = [
            candidate for candidate in shown.messages if candidate.id == verdict.message_id
        ]
        assert message.outbound
        if verdict.relation is Relation.LINKED:
            assert shown.external_contact_id == intended.external_contact_id is not None
            assert all(earliest <= message.at <= other.at for other in shown.messages)
        else:
            assert shown.id == intended.conversation_id


@PROFILE
@given(known=situations(), policy=policies)
def test_what_is_ambiguous_is_parked_in_the_end(known, policy):
    """Another free message in the same place and time makes every match a guess."""
    for intended in known.unsettled:
        if not isinstance(judge(intended, known, policy, 0.0, 0.0), MessageFound):
            continue
        twin = PastMessage("twin", outbound=True, at=max(intended.at, 0.0), text=None)
        shown = [
            replace(conversation, messages=(*conversation.messages, twin))
            if conversation.id == intended.conversation_id
            else conversation
            for conversation in known.shown
        ]
        if shown == list(known.shown):
            person = intended.external_contact_id
            new = (intended.conversation_id, None, person, (twin,))
            shown.append(PastConversation(*new, has_previous=False))
        if intended.conversation_id in known.unnamed:
            continue
        doubled = replace(known, shown=shown)
        now = max(policy.visible_by(send) for send in known.unsettled)
        assert judge(intended, doubled, policy, now, 0.0) in (None, Resolution.PARKED)
        assert judge(intended, doubled, policy, now + 0.001, 0.0) == Resolution.PARKED


@PROFILE
@given(known=situations(), policy=policies, now=TIMES)
def test_absence_leaves_no_message_that_may_have_been_ours(known, policy, now):
    """None in the conversation, none in one of the person's, and a witness of later."""
    for intended in known.unsettled:
        if judge(intended, known, policy, now, 0.0) is not Resolution.ABSENT:
            continue
        assert intended.external_contact_id is not None
        assert min(now, known.analytics_watermark) > policy.visible_by(intended)
        earliest, last = intended.at - policy.clock_skew, policy.effective_by(intended)
        for conversation in known.shown:
            if (
                conversation.id != intended.conversation_id
                and conversation.external_contact_id != intended.external_contact_id
            ):
                continue
            assert conversation.readable
            free = [m for m in conversation.messages if m.outbound and m.id not in known.messages]
            assert not [m for m in free if earliest <= m.at <= last]


@PROFILE
@given(known=situations(), policy=policies)
def test_nobody_waits_for_ever(known, policy):
    """Once everything is over, each has an end."""
    for intended in known.unsettled:
        verdict = judge(intended, known, policy, FOR_EVER, FOR_EVER)
        assert isinstance(verdict, MessageFound) or verdict in (
            Resolution.ABSENT,
            Resolution.PARKED,
        )
        resent = judge(intended, known, replace(policy, resend=True), FOR_EVER, FOR_EVER)
        assert resent is not None
