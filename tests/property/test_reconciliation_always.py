"""What no look back, however odd, may lead to."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.evidence import NEVER_SHOWN, Evidence, digest
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.reconciliation import MessageFound, judge
from dispatcher.domain.status import Resolution, Step
from dispatcher.domain.unsettled_send import UnsettledSend

TEXTS = st.sampled_from(["Hello", "Hi"])
NAMES = st.sampled_from(["a", "b", "c"])
TIMES = st.floats(0, 60) | st.integers(0, 60).map(float)
messages = st.builds(PastMessage, NAMES, st.booleans(), TIMES, TEXTS)
shown = st.lists(
    st.builds(
        PastConversation,
        NAMES,
        st.none() | NAMES,
        st.none() | NAMES,
        st.lists(messages, max_size=3).map(tuple),
    ),
    max_size=4,
)
intents = st.builds(
    UnsettledSend,
    st.integers(1, 3),
    st.sampled_from([Step.NOTIFY, Step.OPEN]),
    st.none() | NAMES,
    st.none() | NAMES,
    TEXTS.map(digest),
    TIMES,
    st.none() | TIMES,
)
policies = st.builds(
    ReconcilePolicy,
    resend=st.booleans(),
    timeout=st.integers(0, 5),
    max_effect_delay=st.integers(0, 5),
    max_lag=st.integers(0, 5),
    clock_skew=st.integers(0, 3),
    give_up_seconds=st.integers(0, 30),
)
evidence = st.builds(
    Evidence,
    shown=shown,
    messages=st.frozensets(NAMES),
    conversations=st.frozensets(NAMES),
    unsettled=st.lists(intents, max_size=3),
    analytics_watermark=st.just(NEVER_SHOWN) | TIMES,
)
waits = st.floats(0, 60)


@settings(max_examples=200, derandomize=True)
@given(intended=intents, known=evidence, policy=policies, now=TIMES, waited=waits)
def test_no_verdict_without_its_proof(intended, known, policy, now, waited):
    """Never absent early or without a witness, never found in what is somebody else's."""
    verdict = judge(intended, known, policy, now, waited)
    bound = policy.visible_by(intended)
    assert bound >= intended.at + policy.max_effect_delay + policy.max_lag
    match verdict:
        case Resolution.ABSENT:
            assert now > bound
            assert known.analytics_watermark > bound
            assert intended.conversation_id is not None
        case Resolution.RESENT:
            assert policy.resend
            assert now > bound
        case MessageFound():
            assert verdict.message_id not in known.messages
            assert verdict.sent_at >= intended.at - policy.clock_skew
            assert shows(known, intended, verdict, policy.clock_skew)
            for other in known.unsettled:
                if other.id != intended.id and same(other, intended):
                    assert verdict.sent_at < other.at - policy.clock_skew


@settings(max_examples=200, derandomize=True)
@given(one=intents, other=intents, known=evidence, policy=policies, now=TIMES)
def test_one_message_is_never_found_for_two(one, other, known, policy, now):
    """Two that wait at the same time, with everything else alike, never share a message."""
    known = Evidence(
        known.shown, known.messages, known.conversations, [one, other], known.analytics_watermark
    )
    ends = [judge(send, known, policy, now, 0.0) for send in (one, other)]
    if one.id != other.id and same(one, other) and all(isinstance(e, MessageFound) for e in ends):
        assert ends[0] != ends[1]


def same(one, other):
    who = [send.external_contact_id if send.step is Step.OPEN else None for send in (one, other)]
    fields = [(send.step, send.conversation_id, send.text_sha256) for send in (one, other)]
    return who[0] == who[1] and fields[0] == fields[1]


def shows(known, intended, found, skew):
    """The platform shows that very message, ours, in or after that very conversation.

    One that comes after has nothing older: it began with the message.
    """
    for conversation in known.shown:
        if conversation.id != found.conversation_id:
            continue
        here = conversation.id == intended.conversation_id
        after = (
            intended.step is Step.OPEN
            and conversation.previous == intended.conversation_id
            and conversation.id not in known.conversations
            and conversation.external_contact_id == intended.external_contact_id
            and all(message.at >= intended.at - skew for message in conversation.messages)
        )
        for message in conversation.messages:
            fits = message.outbound and digest(message.text) == intended.text_sha256
            if (here or after) and fits and message.id == found.message_id:
                return True
    return False
