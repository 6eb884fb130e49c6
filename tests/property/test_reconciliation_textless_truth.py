"""What is concluded without texts and links, against what really happened, look after look."""

from dataclasses import dataclass, replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from dispatcher.domain.evidence import NEVER_SHOWN, DeliveryWitness, Evidence, newest_shown
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.reconciliation import MessageFound, judge
from dispatcher.domain.status import Resolution, Step
from dispatcher.domain.unsettled_send import UnsettledSend

BOUNDS = ReconcilePolicy(
    timeout=2,
    max_effect_delay=6,
    max_lag=5,
    clock_skew=0,
    look_seconds=2,
    give_up_seconds=40,
    reports_links=False,
)
PERSON = "x"
END = 400


@dataclass
class Send:
    """One send to the person; ``effect`` is how many seconds after the intent it takes effect."""

    intended: UnsettledSend
    effect: float | None
    lands_in: str
    lag: float
    end: object = None

    def message(self):
        at = self.intended.at + self.effect
        return PastMessage(f"m-{self.intended.id}", outbound=True, at=at, text=None)


@dataclass
class Seen:
    """The person's conversations, message by message, as analytics come to show them."""

    kept: list

    def at(self, now):
        shown = {}
        for conversation, message, lag in self.kept:
            if message.at + lag <= now:
                shown.setdefault(conversation, []).append(message)
        return [
            PastConversation(conversation, None, PERSON, tuple(messages), has_previous=False)
            for conversation, messages in shown.items()
        ]


sends = st.lists(
    st.tuples(
        st.sampled_from([Step.NOTIFY, Step.OPEN]),
        st.sampled_from(["c-1", "c-2"]),
        st.none() | st.integers(0, 8),
        st.sampled_from(["there", "new", "third"]),
        st.integers(0, 5),
        st.integers(0, 20),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=200, derandomize=True)
@given(sends=sends, writes=st.lists(st.integers(0, 120), max_size=3), parks=st.booleans())
def test_every_send_gets_its_own_message_or_none(sends, writes, parks):
    """Found is what that send made, absent is what took no effect, whatever else is going on.

    One send at a time to the person, as the ledger sees to it, but for those parked in doubt: with
    ``parks`` they are left at once, as an open without a link is. The person writes, too.
    """
    kept = [("third", PastMessage("old", outbound=False, at=-900.0, text=None), 0)]
    kept += [(f"c-{n}", PastMessage(f"old-{n}", True, -900.0, None), 0) for n in (1, 2)]
    for number, at in enumerate(writes):
        message = PastMessage(f"in-{number}", outbound=False, at=float(at), text=None)
        kept.append(("third", message, 0))
    analytics, done, now = Seen(kept), [], 0.0
    for number, (step, to, effect, where, lag, gap, parked) in enumerate(sends, 1):
        now += gap
        intended = UnsettledSend(number, step, to, PERSON, "text", now, now + BOUNDS.timeout)
        lands_in = {"there": to, "new": f"new-{number}", "third": "third"}[where]
        send = Send(intended, effect, lands_in, lag)
        if effect is not None:
            kept.append((lands_in, send.message(), lag))
        if parks and parked:
            send.end = Resolution.PARKED
        else:
            now = follow(send, analytics, done, now)
        done.append(send)
    found = [send.end.message_id for send in done if isinstance(send.end, MessageFound)]
    assert len(set(found)) == len(found)
    for send in done:
        event("found" if isinstance(send.end, MessageFound) else str(send.end))
        if isinstance(send.end, MessageFound):
            assert send.effect is not None
            assert send.end.message_id == send.message().id
            assert send.end.conversation_id == send.lands_in
        if send.end is Resolution.ABSENT:
            assert send.effect is None


def follow(send, analytics, done, now):
    """Look until there is a verdict; a message to somebody else is the witness."""
    began, caught_up = now, NEVER_SHOWN
    witness = PastConversation("w", None, "other", (), has_previous=False)
    ended = [send.end for send in done if isinstance(send.end, MessageFound)]
    unsettled = [send.intended for send in done if send.end is Resolution.PARKED]
    while now < began + END:
        now += BOUNDS.look_seconds
        later = PastMessage(f"w-{now}", outbound=True, at=now - BOUNDS.max_lag, text=None)
        shown = [*analytics.at(now), replace(witness, messages=(later,))]
        caught_up = max(caught_up, newest_shown(shown, [DeliveryWitness("w", later.id, "text")]))
        evidence = Evidence(
            shown,
            frozenset(found.message_id for found in ended),
            frozenset(found.conversation_id for found in ended if found.conversation_id[0] == "n"),
            [*unsettled, send.intended],
            caught_up,
        )
        send.end = judge(send.intended, evidence, BOUNDS, now, now - began)
        if send.end is not None:
            return now
    raise AssertionError("nobody waits for ever")
