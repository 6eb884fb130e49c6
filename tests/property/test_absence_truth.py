"""Absence is concluded only of sends without an effect, by any evidence of newer records."""

from dataclasses import dataclass

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from dispatcher.domain.answer import Answer
from dispatcher.domain.evidence import NEVER_SHOWN, Evidence, digest
from dispatcher.domain.look_back_plan import LookBackPlan
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.reconcile_policy import ALL_EVIDENCE, EvidenceKind, ReconcilePolicy
from dispatcher.domain.reconciliation import MessageFound, judge
from dispatcher.domain.status import Resolution, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.engine.look_back import LookBackReader
from dispatcher.engine.record_candidates import RecordCandidates

TIMEOUT, DELAY, LAG, SKEW = 2, 6, 5, 1
PERSON, TEXT = "x-1", "Hello"
END = 60
lags = st.sampled_from([0, LAG]) | st.integers(0, LAG)
AROUND = st.integers(TIMEOUT + DELAY, TIMEOUT + DELAY + SKEW + 2 * LAG)
"""Times around the bounds, where a verdict may come too early."""


@dataclass(frozen=True)
class Record:
    """A record of a conversation; analytics show it ``lag`` seconds after its time."""

    at: float
    lag: float
    kind: str

    def in_messaging(self, number):
        name = f"o-{number}"
        if self.kind in ("started", "ended"):
            return PastConversation(name, None, "x-2", **{self.kind: self.at})
        outbound = self.kind == "outbound"
        return PastConversation(
            name, None, "x-2", (PastMessage(f"r-{number}", outbound, self.at, "hm"),)
        )


KINDS = st.sampled_from(["started", "ended", "inbound", "outbound"])
records = st.tuples(
    st.builds(Record, AROUND, st.just(0), KINDS),
    st.lists(st.builds(Record, AROUND | st.integers(0, END), lags, KINDS), max_size=6),
).map(lambda drawn: [drawn[0], *drawn[1]])
kinds = st.sets(st.sampled_from(list(EvidenceKind)), min_size=1).map(frozenset)


@dataclass(frozen=True)
class World:
    """What happened, and how far all records are behind beyond their own lags."""

    send: UnsettledSend
    effect: Record | None
    others: list[Record]
    behind: float
    finds_newest: bool

    def shown(self, record, now):
        return record is not None and record.at + record.lag + self.behind <= now

    def answer(self, now, stated):
        """What a look back at this time shows."""
        ours = [self.message()] if self.shown(self.effect, now) else []
        others = [record for record in self.others if self.shown(record, now)]
        if self.finds_newest:
            newest = max((record.at for record in others), default=None)
            return Answer(
                200,
                True,
                past_conversations=tuple(ours),
                newest_record=newest,
                complete_until=stated,
            )
        found = [record.in_messaging(number) for number, record in enumerate(others)]
        return Answer(200, True, past_conversations=(*ours, *found), complete_until=stated)

    def message(self):
        text = None if self.finds_newest else TEXT
        message = PastMessage("m-1", True, self.effect.at, text)
        return PastConversation("c-1", None, PERSON, (message,), not self.finds_newest)

    def true_statement(self, now):
        """The latest time up to which everything is shown: the platform may state no later one."""
        hidden = [
            r.at for r in (*self.others, self.effect) if r is not None and not self.shown(r, now)
        ]
        return min([now, *(at - 0.5 for at in hidden)])


worlds = st.builds(
    lambda ended, effect, lag, others, behind, newest: World(
        UnsettledSend(1, Step.NOTIFY, "c-1", PERSON, digest(TEXT), 0.0, ended),
        None if effect is None else Record(effect * (ended + DELAY), lag, "outbound"),
        others,
        behind,
        newest,
    ),
    st.sampled_from([0, TIMEOUT]),
    st.none() | st.just(1.0) | st.floats(0, 1),
    lags,
    records,
    st.sampled_from([0, 0, 0, 3, 20]),
    st.booleans(),
)


def latest(*, finds_newest):
    """Return the world in which the message is as late as the bounds permit, and others are not."""
    send = UnsettledSend(1, Step.NOTIFY, "c-1", PERSON, digest(TEXT), 0.0, TIMEOUT)
    at = TIMEOUT + DELAY
    others = [Record(at + early, 0, "inbound") for early in range(1, LAG + SKEW)]
    return World(send, Record(at, LAG, "outbound"), others, 0, finds_newest)


EVERY_SECOND = {float(at) for at in range(TIMEOUT, END)}


def policy_of(world, evidence):
    return ReconcilePolicy(
        timeout=TIMEOUT, max_effect_delay=DELAY, max_lag=LAG, clock_skew=SKEW, evidence=evidence,
        finds_newest=world.finds_newest, reports_links=not world.finds_newest,
    )  # fmt: skip


def follow(world, evidence, looks, statement_lag):
    """Look at these times until there is a verdict, as the engine does; return it and its time."""
    policy = policy_of(world, evidence)
    candidates = RecordCandidates(None, None)
    reader = LookBackReader(None, None, None, None, LookBackPlan(policy), candidates)
    stated = NEVER_SHOWN
    for now in sorted(looks):
        stated = max(stated, world.true_statement(now) - statement_lag)
        answer = world.answer(now, stated)
        reader._learn(now, answer, NEVER_SHOWN)
        known = Evidence(answer.past_conversations, analytics_watermark=reader.analytics_watermark)
        verdict = judge(world.send, known, policy, now, 0.0)
        if verdict is not None:
            return verdict, now
    return None, None


@settings(max_examples=200, derandomize=True)
@given(
    world=worlds,
    evidence=kinds,
    looks=st.sets((AROUND | st.integers(0, 2 * END)).map(float), min_size=1, max_size=4),
    statement_lag=st.integers(0, 30),
)
@example(latest(finds_newest=False), ALL_EVIDENCE, EVERY_SECOND, 0)
@example(latest(finds_newest=True), ALL_EVIDENCE, EVERY_SECOND, 0)
def test_absent_is_only_what_took_no_effect(world, evidence, looks, statement_lag):
    """All records may be late by any time, as long as their lags differ by the bound at most."""
    verdict, _ = follow(world, evidence, looks, statement_lag)
    event(str(verdict if verdict is None or isinstance(verdict, Resolution) else "found"))
    if verdict is Resolution.ABSENT:
        assert world.effect is None
    if isinstance(verdict, MessageFound):
        assert world.effect is not None


@settings(max_examples=100, derandomize=True)
@given(world=worlds, kind=st.sampled_from([EvidenceKind.RECORDS, EvidenceKind.AVAILABILITY]))
def test_what_took_no_effect_is_proved_absent_once_a_newer_record_is_shown(world, kind):
    """Each kind is enough by itself, and the verdict comes with the first look that can have it."""
    newer = [*world.others, Record(END, 0, "inbound")]
    world = World(world.send, None, newer, world.behind, world.finds_newest)
    verdict, at = follow(world, frozenset({kind}), [float(END + world.behind), 2.0 * END], 0)
    assert verdict is Resolution.ABSENT
    assert at == END + world.behind


@settings(max_examples=100, derandomize=True)
@given(world=worlds, ahead=st.integers(SKEW + 1, 1000), evidence=kinds)
def test_a_time_in_the_future_proves_nothing(world, ahead, evidence):
    """A clock that is wrong, or a session that is planned, is not taken for a newer record."""
    policy = policy_of(world, ALL_EVIDENCE)
    bound = policy.visible_by(world.send)
    wrong = [Record(bound + 1 + ahead, -LAG - ahead, kind) for kind in ("started", "inbound")]
    world = World(world.send, None, wrong, -2.0 * END, world.finds_newest)
    reader = LookBackReader(
        None, None, None, None, LookBackPlan(policy), RecordCandidates(None, None)
    )
    answer = world.answer(bound + 1, bound + 1 + ahead)
    reader._learn(bound + 1, answer, NEVER_SHOWN)
    assert reader.analytics_watermark == NEVER_SHOWN
