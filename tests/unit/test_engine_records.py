"""What a record of the platform's analytics is enough for, and what it is not."""

from collections import Counter
from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import BargeIn, DecisionPolicy, IdentityRule
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.domain.unchecked_send import EQUAL_ADDRESSES
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.run_options import RunOutcome
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import POLICY, EngineFixture, contact
from tests.support.scripted import (
    CLOSED_400,
    ENDED,
    GOOD,
    GUEST,
    NOT_ENDED,
    OPEN,
    OPENED,
    TAKEN,
    UNKNOWN,
    refused,
    state_answer,
)
from tests.support.virtual import VirtualClock, in_virtual_time

CHECK, MANY, NOTIFY, LINK = Step.CHECK, Step.CHECK_MANY, Step.NOTIFY, Step.OPEN
NUMBER = 20


class Records:
    """Answers for conversations whose state a script changes; records may be behind.

    Records have neither guest nor address, as those of `messaging`.
    """

    def __init__(self, state=State.ENDED, **answers):
        self.recorded = lambda _id, _at: state
        self.answers = {**GOOD, **{Step(name): answer for name, answer in answers.items()}}
        self.person = lambda id_: id_.replace("conversation", "person")
        self.sent, self.checked = Counter(), Counter()

    def __call__(self, request):
        if request.step is MANY:
            found = (
                Conversation(id_, self.recorded(id_, request.at), self.person(id_))
                for id_ in request.conversation_id
                if self.recorded(id_, request.at) is not None
            )
            return Answer(200, from_platform=True, conversations=tuple(found))
        counts = self.sent if request.step.is_send else self.checked
        counts[request.conversation_id] += 1
        answer = self.answers[request.step]
        return answer(request) if callable(answer) else answer


def rows(number=NUMBER, **more):
    return [
        contact(n, **{"address": f"row-{n}", "external_contact_id": f"person-{n}", **more})
        for n in range(1, number + 1)
    ]


class ProvedEngine(EngineFixture):
    """An engine that knows that the rows have the addresses of the platform."""

    def make_campaign_run(self, source, limit=None):
        run = super().make_campaign_run(source, limit)
        for number in range(EQUAL_ADDRESSES):
            run.delivery.requester.recipients.compare(contact(number, address="a"), "a")
        return run


def engine_of(records, policy=None, rules=None, most=10, a_second=10):
    pacer = QuotaPacer(60 * a_second, 60.0, VirtualClock())
    return ProvedEngine(records, policy, pacer, states_per_call=most, rules=rules)


async def run(engine, contacts, **options):
    stream = engine.pipeline(contacts, workers=NUMBER, wait_limit=10_000, **options)
    assert await stream.run() is RunOutcome.DONE
    return Counter(request.step for request in engine.platform.requests)


def reached(engine):
    """Count the messages by conversation: nobody gets two."""
    taken = [r for r in engine.platform.requests if r.step.is_send and r.result in (TAKEN, OPENED)]
    return Counter(request.conversation_id for request in taken)


@in_virtual_time
async def test_an_ended_session_is_linked_by_its_record_and_the_rows_address():
    engine = engine_of(Records())
    requests = await run(engine, rows())
    assert requests == {MANY: NUMBER / 10, LINK: NUMBER}
    targets = {r.decision.target.value for r in engine.platform.requests if r.step is LINK}
    assert targets == {f"row-{n}" for n in range(1, NUMBER + 1)}


@in_virtual_time
async def test_without_an_address_in_the_row_a_state_is_read_individually():
    engine = engine_of(Records())
    requests = await run(engine, rows(address=None))
    assert requests[CHECK] == requests[LINK] == NUMBER
    assert {r.decision.target.value for r in engine.platform.requests if r.step is LINK} == {
        "guest-1"
    }


SUPPRESSED = {"guest-1", "told@example.org"}


def suppressing(*, addresses):
    return CampaignRules(
        suppressed=lambda _, found: bool(SUPPRESSED.intersection(found)),
        list_names_addresses=lambda: addresses,
    )


@pytest.mark.parametrize("state", [State.OPEN, State.ENDED])
@in_virtual_time
async def test_an_address_that_only_the_platform_knows_is_suppressed(state):
    """No record shows it, so no record is enough for a send."""
    answers = {"check": state_answer(state)}
    engine = engine_of(Records(state, **answers), rules=suppressing(addresses=True))
    requests = await run(engine, rows())
    assert engine.ledger.count(Status.SKIPPED) == NUMBER
    assert requests[NOTIFY] == requests[LINK] == 0
    assert requests[MANY] <= 3, "records that are never enough are not read any more"


@in_virtual_time
async def test_a_list_of_ids_alone_needs_no_address():
    engine = engine_of(Records(), rules=suppressing(addresses=False))
    assert (await run(engine, rows()))[CHECK] == 0


@in_virtual_time
async def test_where_no_send_needs_an_address_no_check_shows_one():
    policy = DecisionPolicy(needs_address=False, retry=POLICY)
    engine = engine_of(Records(), policy, suppressing(addresses=True))
    assert (await run(engine, rows(address=None)))[CHECK] == 0


@in_virtual_time
async def test_an_open_session_whose_person_is_not_recorded_is_read_individually():
    """It may be another person's than the row's: the platform would take the message."""
    records = Records(State.OPEN, check=state_answer(State.OPEN, identity="person-999"))
    records.person = lambda _: None
    engine = engine_of(records)
    requests = await run(engine, rows())
    assert requests[NOTIFY] == 0
    assert engine.ledger.count(Status.PARKED) == NUMBER


@pytest.mark.parametrize("rule", list(IdentityRule))
@in_virtual_time
async def test_two_people_are_decided_about_as_without_records(rule):
    records = Records(check=state_answer(identity="person-999"))
    records.person = lambda _: "person-999"
    policy = DecisionPolicy(identity=rule, retry=POLICY)
    alone, batched = engine_of(records, policy, most=1), engine_of(records, policy)
    await run(alone, rows())
    await run(batched, rows())
    for engine in (alone, batched):
        ends = Counter((row.status, row.settlement.reason) for row in engine.ledger.rows.values())
        assert sum(ends.values()) == NUMBER
        people = {
            r.decision.external_contact_id for r in engine.platform.requests if r.step is LINK
        }
        assert len(people) == {IdentityRule.PARK: 0, IdentityRule.PLATFORM: 1}.get(rule, NUMBER)


@in_virtual_time
async def test_a_session_that_is_waited_for_is_looked_at_with_others():
    """Nobody is read individually: the records show when it has ended."""
    records = Records()
    records.recorded = lambda _, at: State.CLOSED if at < 12.0 else State.ENDED
    engine = engine_of(records)
    requests = await run(engine, rows())
    assert requests[CHECK] == 0
    assert requests[LINK] == NUMBER
    assert requests[MANY] <= 4 * NUMBER / 10


@in_virtual_time
async def test_a_record_that_never_changes_makes_nobody_final():
    """The last look is individual, and shows that the session ended long ago."""
    engine = engine_of(Records(State.CLOSED))
    requests = await run(engine, rows())
    assert requests[CHECK] == requests[LINK] == NUMBER
    assert engine.ledger.count(Status.OPENED) == NUMBER


@in_virtual_time
async def test_records_that_lag_for_long_are_verified():
    """After the assumed lag some looks are individual."""
    policy = DecisionPolicy(retry=replace(POLICY, not_ended_max_seconds=86_400))
    engine = engine_of(Records(State.CLOSED), policy)
    engine.jitter = lambda: 0.0
    requests = await run(engine, rows())
    assert requests[CHECK] == requests[LINK] == NUMBER
    assert engine.clock.monotonic() < 2 * policy.reconcile.max_lag


@in_virtual_time
async def test_an_open_record_of_a_session_that_was_closed_is_not_believed():
    """It may be an old one; the platform would take a message if the person came back."""
    records = Records(check=NOT_ENDED)
    records.recorded = lambda _, at: State.CLOSED if at < 2 else State.OPEN
    engine = engine_of(records)
    requests = await run(engine, rows())
    assert requests[NOTIFY] == 0
    assert engine.ledger.count(Status.PARKED) == NUMBER


@in_virtual_time
async def test_an_unknown_state_is_first_read_individually_and_then_with_others():
    records = Records(State.UNKNOWN, check=UNKNOWN)
    policy = DecisionPolicy(retry=replace(POLICY, max_attempts=8))
    engine = engine_of(records, policy, most=NUMBER, a_second=1000)
    requests = await run(engine, rows())
    assert requests[CHECK] == 2 * NUMBER, "the first look and the last one"
    assert requests[MANY] <= 4, "one for each look of all together"
    assert engine.ledger.count(Status.PARKED) == NUMBER


@pytest.mark.parametrize(
    ("shown", "status"), [(State.OPEN, Status.PARKED), (State.ENDED, Status.OPENED)]
)
@in_virtual_time
async def test_a_known_record_of_an_unknown_state(shown, status):
    """What the check does not understand, an open record does not explain.

    A link is refused by the platform if the session has not ended.
    """
    records = Records(State.UNKNOWN, check=UNKNOWN)
    records.recorded = lambda id_, _: shown if records.checked[id_] else State.UNKNOWN
    engine = engine_of(records, a_second=100)
    requests = await run(engine, rows())
    assert requests[NOTIFY] == 0
    assert engine.ledger.count(status) == NUMBER


@in_virtual_time
async def test_a_refused_open_is_explained_by_a_record_that_has_changed():
    """The person came back: the newer record says so, and is enough for a message."""
    records = Records()
    records.recorded = lambda id_, _: State.OPEN if records.sent[id_] else State.ENDED
    records.answers[LINK] = lambda request: refused(409) if is_fifth(request) else OPENED
    engine = engine_of(records)
    requests = await run(engine, rows())
    assert requests == {MANY: requests[MANY], LINK: NUMBER, NOTIFY: NUMBER / 5}
    assert requests[MANY] <= 4


def is_fifth(request):
    """Whether something happens to the session: it does to each fifth."""
    return int(request.conversation_id.split("-")[1]) % 5 == 0


@in_virtual_time
async def test_a_refused_open_is_not_explained_by_the_same_record():
    records = Records(check=OPEN, open=refused(409))
    engine = engine_of(records)
    requests = await run(engine, rows())
    assert requests[CHECK] == requests[NOTIFY] == NUMBER


@in_virtual_time
async def test_a_loop_is_read_individually_at_its_beginning_and_before_its_end():
    """In between, the record shows that nothing has changed; the recipient stays the check's."""
    records = Records()
    records.answers[LINK] = lambda request: refused(409) if is_fifth(request) else OPENED
    records.answers[CHECK] = lambda r: state_answer(identity=records.person(r.conversation_id))
    engine = engine_of(records, most=20)
    requests = await run(engine, rows(100))
    loops = 100 / 5
    assert engine.ledger.count(Status.PARKED) == loops
    assert requests[LINK] == 100 - loops + 3 * loops
    assert 2 * loops <= requests[CHECK] <= 2.3 * loops
    links = [r for r in engine.platform.requests if r.step is LINK]
    by_check = Counter(r.conversation_id for r in links if r.decision.target == GUEST)
    assert set(by_check.values()) == {2}
    assert len(by_check) == loops


@pytest.mark.parametrize("after", [OPEN, ENDED])
@in_virtual_time
async def test_an_old_record_between_two_conflicts_delays_and_ends_nothing(after):
    """The person came back after the first refusal, or the platform was mistaken twice."""
    records = Records(notify=TAKEN)
    times = records.sent

    def link(request):
        return refused(409) if times[request.conversation_id] < 3 or after is OPEN else OPENED

    def check(request):
        answer = after if times[request.conversation_id] > 2 else ENDED
        person = records.person(request.conversation_id)
        return state_answer(answer.conversation.state, identity=person)

    records.answers |= {LINK: link, CHECK: check}
    engine = engine_of(records, a_second=100)
    await run(engine, rows())
    right = Status.NOTIFIED if after is OPEN else Status.OPENED
    assert engine.ledger.count(right) == NUMBER


@pytest.mark.parametrize(("status", "checks"), [(307, 0), (400, 1), (422, 1)])
@in_virtual_time
async def test_what_a_refused_link_says_about_the_recipient(status, checks):
    """A redirect says nothing of it, and is final at once."""
    engine = engine_of(Records(open=refused(status)))
    requests = await run(engine, rows())
    assert requests[CHECK] == checks * NUMBER
    assert requests[LINK] == (1 + checks) * NUMBER
    assert engine.ledger.count(Status.REJECTED) == NUMBER


@in_virtual_time
async def test_a_link_to_the_rows_address_that_is_refused_is_tried_with_the_platforms():
    """The row's address may be wrong: the check shows the right recipient."""
    records = Records()
    records.answers[LINK] = lambda request: (
        OPENED if request.decision.target.is_guest_id else refused(400)
    )
    engine = engine_of(records)
    requests = await run(engine, rows())
    assert requests[CHECK] == NUMBER
    assert engine.ledger.count(Status.OPENED) == NUMBER
    assert set(reached(engine).values()) == {1}


@in_virtual_time
async def test_no_record_parks_a_contact_as_a_loop():
    """One refusal is the limit: it does not count if it rested on an old record."""
    policy = DecisionPolicy(retry=RetryPolicy(loop_after=1, not_ended_seconds=5))
    engine = engine_of(Records(State.OPEN, check=ENDED, notify=refused(409)), policy)
    await run(engine, rows())
    assert engine.ledger.count(Status.OPENED) == NUMBER


@pytest.mark.parametrize(
    ("shown", "checks", "opens", "at_least"),
    [(State.ENDED, 0, 1, 5), (State.CLOSED, 0, 1, 20), (None, 0, 1, 5), (State.OPEN, 1, 1, 5)],
)
@in_virtual_time
async def test_the_record_of_a_session_that_just_closed(shown, checks, opens, at_least):
    """Closed: the open would be too early. Open: an old record, or the person is back."""
    closing = NUMBER / 5
    records = Records(notify=lambda request: CLOSED_400 if is_fifth(request) else TAKEN)

    def recorded(id_, at):
        if not records.sent[id_]:
            return State.OPEN
        return State.ENDED if at > 20 else shown

    records.recorded = recorded
    engine = engine_of(records, a_second=100)
    requests = await run(engine, rows())
    assert requests[NOTIFY] == NUMBER
    assert requests[CHECK] == checks * closing
    assert requests[LINK] == opens * closing
    assert engine.ledger.count(Status.OPENED) == closing
    assert engine.clock.monotonic() >= at_least


@in_virtual_time
async def test_two_records_of_one_conversation_that_differ_are_none():
    class Twice(Records):
        def __call__(self, request):
            answer = super().__call__(request)
            if request.step is not MANY:
                return answer
            other = [replace(c, state=State.OPEN) for c in answer.conversations]
            return replace(answer, conversations=(*answer.conversations, *other))

    requests = await run(engine_of(Twice()), rows())
    assert requests[CHECK] == requests[LINK] == NUMBER


@pytest.mark.parametrize(
    "useless", [None, State.UNKNOWN, State.OPEN], ids=["missing", "unknown", "customer-only"]
)
@in_virtual_time
async def test_useless_records_cost_hardly_anything(useless):
    """Not more than 2% and a few requests above individual reads."""
    policy = DecisionPolicy(barge_in=BargeIn.CUSTOMER_ONLY, retry=POLICY)
    records = Records(useless, check=OPEN if useless is State.OPEN else ENDED)
    engine = engine_of(records, policy)
    requests = await run(engine, rows(400))
    assert engine.ledger.count(Status.OPENED) + engine.ledger.count(Status.NOTIFIED) == 400
    assert sum(requests.values()) <= 1.02 * 800 + 3


@in_virtual_time
async def test_records_that_always_mislead_are_given_up():
    """Each costs a refused send: after the first batches states are read individually."""
    records = Records(State.OPEN, check=ENDED, notify=refused(409))
    engine = engine_of(records)
    requests = await run(engine, rows(400))
    assert engine.ledger.count(Status.OPENED) == 400
    assert sum(requests.values()) <= 1.02 * 800 + 3 + 2 * NUMBER


@in_virtual_time
async def test_the_probe_of_a_halt_does_not_wait_for_contacts_that_wait_for_it():
    """Its open is refused, and its next look is its own."""
    records = Records()
    records.recorded = lambda id_, _: State.OPEN if records.sent[id_] else State.ENDED

    def link(request):
        return refused(403) if request.conversation_id == "conversation-1" else refused(409)

    records.answers[LINK] = link
    records.answers[CHECK] = lambda r: OPEN if records.sent[r.conversation_id] else ENDED
    engine = engine_of(records, most=3)
    await run(engine, rows())
    assert engine.ledger.count(Status.NOTIFIED) >= NUMBER - 1
    assert {e.reason for e in engine.events if type(e).__name__ == "Halted"} <= {
        HaltReason.FORBIDDEN
    }
    assert engine.ledger.row("key-1").settlement.reason in (
        Reason.FORBIDDEN_CONTACT, Reason.DELIVERED,
    )  # fmt: skip


@in_virtual_time
async def test_auto_reads_no_more_than_the_quota_sends_while_states_are_fresh():
    """At 1 request a second 15 states; all are sent before they are too old."""
    pacer = QuotaPacer(60, 60.0, VirtualClock())
    engine = ProvedEngine(Records(), None, pacer, states_per_call="auto")
    stream = engine.pipeline(rows(120), workers=100, wait_limit=10_000)
    assert await stream.run() is RunOutcome.DONE
    sizes = [len(r.conversation_id) for r in engine.platform.requests if r.step is MANY]
    assert max(sizes) <= 15
    requests = Counter(request.step for request in engine.platform.requests)
    assert requests[LINK] == 120
    assert sum(requests.values()) <= 1.1 * 120
