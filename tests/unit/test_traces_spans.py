"""The spans of a contact, from its claim to how it leaves."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.status import Status, Step
from tests.support.engine import POLICY, contact
from tests.support.scripted import (
    CHANNEL_400,
    ENDED,
    NOT_ENDED,
    OPEN,
    OPENED,
    RESET,
    TAKEN,
    refused,
)
from tests.support.traces import TracedEngine
from tests.support.virtual import in_virtual_time, until

BOUNDS = ReconcilePolicy(
    timeout=1, max_effect_delay=2, max_lag=3, clock_skew=1, look_seconds=1, give_up_seconds=600
)
REQUESTS = {"check", "send", "check_many", "look_back"}


def engine_of(check=ENDED, send=OPENED, **more):
    """An engine whose platform gives these answers, or those of a list one after the other."""
    answers = {Step.CHECK: check, Step.NOTIFY: send, Step.OPEN: send, Step.CHECK_MANY: Answer(503)}

    def answer(request):
        found = answers[request.step]
        return found.pop(0) if isinstance(found, list) else found

    return TracedEngine(answer, **more)


def named(engine, name):
    return [span for span in engine.spans if span.name == name]


def only(engine, name):
    (span,) = named(engine, name)
    return span


def words(span):
    """The attributes without their prefix."""
    return {key.removeprefix("dispatcher."): value for key, value in span.attributes.items()}


@in_virtual_time
async def test_a_delivered_contact_has_a_span_with_check_intent_send_and_settle_below_it():
    """They have the ids that a person looks for, and the outcome."""
    engine = engine_of(clients=("north",))
    await engine.deliver()
    assert engine.tree() == [("contact", ["check", "intent", "send", "settle"])]
    outcome = {
        "status": "opened", "reason": "delivered", "relation": "linked",
        "conversation_id": "new-1", "correlation_id": "corr-1",
    }  # fmt: skip
    assert words(only(engine, "contact")) == {
        "campaign": "play", "contact_key": "key-1", "attempt": 1, "sends_before": 0,
        "previous_conversation_id": "conversation-1", **outcome,
    }  # fmt: skip
    assert words(only(engine, "settle")) == outcome
    assert words(only(engine, "intent")) == {"endpoint": "open"}
    http = "http.response.status_code"
    check = {"endpoint": "check", "client": "north", "session_state": "ended", http: 200}
    assert words(only(engine, "check")) == check
    send = {"endpoint": "open", "client": "north", "correlation_id": "corr-1", http: 201}
    assert words(only(engine, "send")) == send
    assert not any(span.status.status_code.name == "ERROR" for span in engine.spans)
    for span in engine.spans:
        root = only(engine, "contact")
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time


@in_virtual_time
async def test_no_span_has_a_text_an_address_or_the_words_of_the_platform():
    """A refusal may quote all of them."""
    words_of_it = "Hello 1 to ann@example.org is refused"
    engine = engine_of(OPEN, Answer(422, from_platform=True, words=words_of_it))
    await engine.deliver(contact(address="ann@example.org", subject="A subject"))
    assert only(engine, "send").attributes["http.response.status_code"] == 422
    shown = " ".join(span.to_json() for span in engine.spans)
    for secret in ("Hello 1", "ann@example.org", "A subject", "refused to"):
        assert secret not in shown


@in_virtual_time
async def test_a_deferred_contact_says_why_and_until_when_and_its_next_attempt_is_a_new_trace():
    """Both traces have the key of the contact."""
    engine = engine_of([NOT_ENDED, ENDED])
    await engine.until_final()
    assert engine.tree() == [
        ("contact", ["check", "defer"]), ("contact", ["check", "intent", "send", "settle"])
    ]  # fmt: skip
    first, second = named(engine, "contact")
    assert words(first)["status"] == "deferred"
    assert words(first)["reason"] == "not_ended"
    assert words(first)["due_in_seconds"] == 5.0
    assert words(second)["status"] == "opened"
    assert first.context.trace_id != second.context.trace_id
    assert words(first)["contact_key"] == words(second)["contact_key"]


@in_virtual_time
async def test_a_conflict_is_an_event_of_the_contact_and_an_error_of_the_send():
    """The state is read again; the retracted intent is there as well."""
    engine = engine_of([ENDED, NOT_ENDED], refused(409, correlation_id="corr-9"))
    await engine.deliver()
    ((name, steps),) = engine.tree()
    assert name == "contact"
    assert steps == ["check", "intent", "send", "retract", "check", "defer"]
    send = only(engine, "send")
    assert (send.status.status_code.name, send.attributes["error.type"]) == ("ERROR", "409")
    (event,) = only(engine, "contact").events
    assert event.name == "session.conflict"
    assert dict(event.attributes) == {
        "dispatcher.endpoint": "open", "http.response.status_code": 409,
        "dispatcher.correlation_id": "corr-9",
    }  # fmt: skip


@in_virtual_time
async def test_a_contact_that_is_parked_is_an_error():
    """So Datadog's error rate is the share of contacts whose message did not reach anyone."""
    engine = engine_of(OPEN, [refused(409)] * 9)
    await engine.until_final()
    last = named(engine, "contact")[-1]
    assert (words(last)["status"], words(last)["reason"]) == ("parked", "retry_loop")
    assert last.status.status_code.name == "ERROR"
    assert last.events[-1].name == "retry.loop"


@in_virtual_time
async def test_a_contact_in_doubt_is_continued_by_its_look_back():
    """The look back and what it settles are below the contact's span, and link to the request."""
    engine = doubting(effect=True)
    await engine.pipeline([contact()]).run()
    look_back = named(engine, "look_back")
    shared = next(span for span in look_back if span.parent is None)
    below = next(span for span in look_back if span.parent is not None)
    trees = [tree for tree in engine.tree() if tree != "look_back"]
    steps = ["check", "intent", "send", "mark_in_doubt", ("reconcile", ["look_back", "settle"])]
    assert trees == [("contact", steps)]
    contact_span, reconcile = only(engine, "contact"), only(engine, "reconcile")
    assert words(contact_span)["status"] == "in_doubt"
    assert only(engine, "send").attributes["error.type"] == "reset"
    assert (words(reconcile)["status"], words(reconcile)["resolution"]) == ("opened", "found")
    assert [link.context.span_id for link in below.links] == [shared.context.span_id]
    assert [link.context.span_id for link in shared.links] == [reconcile.context.span_id]
    assert below.context.trace_id == contact_span.context.trace_id != shared.context.trace_id


@in_virtual_time
async def test_a_doubt_of_an_earlier_run_begins_a_trace_of_its_own():
    """The span of its send is not known any more."""
    before = doubting(effect=True)
    await before.deliver()
    later = doubting(effect=True, ledger=before.ledger)
    later.platform.archive = before.platform.archive
    async with later.reconciling():
        await until(lambda: before.ledger.row("key-1").settlement is not None)
        await asyncio.sleep(0)
    assert ("reconcile", ["look_back", "settle"]) in later.tree()


@in_virtual_time
async def test_contacts_that_share_a_state_check_link_to_it():
    """The request is a trace of its own; its span below each contact has its figures."""
    states = tuple(contact_state(number) for number in (1, 2, 3))
    many = Answer(200, from_platform=True, conversations=states)
    answers = {Step.CHECK_MANY: many, Step.CHECK: OPEN, Step.NOTIFY: TAKEN}
    engine = TracedEngine(lambda request: answers[request.step], states_per_call=10)
    await engine.pipeline([contact(number) for number in (1, 2, 3)]).run()
    checks = named(engine, "check_many")
    (shared,) = (span for span in checks if span.parent is None)
    below = [span for span in checks if span.parent is not None]
    roots = named(engine, "contact")
    assert len(below) == len(roots) == 3
    assert {span.parent.span_id for span in below} == {root.context.span_id for root in roots}
    assert {link.context.span_id for link in shared.links} == {s.context.span_id for s in roots}
    for span in below:
        assert [link.context.span_id for link in span.links] == [shared.context.span_id]
        assert words(span)["batch_size"] == 3


@in_virtual_time
async def test_a_refusal_that_is_held_ends_its_span_when_it_becomes_final():
    """Other contacts' workers settle it later; the span is of the contact nevertheless."""
    answers = {"conversation-1": CHANNEL_400}

    def answer(request):
        if request.step is Step.CHECK:
            return ENDED
        return answers.get(request.conversation_id, OPENED)

    engine = TracedEngine(answer, halt_suspicious=True)
    await engine.pipeline([contact(number) for number in range(1, 40)]).run()
    roots = {words(root)["contact_key"]: root for root in named(engine, "contact")}
    held = roots["key-1"]
    assert words(held)["status"] == "rejected"
    assert "refusal.held" in [event.name for event in held.events]
    assert len(roots) == len(named(engine, "contact")) == 39
    assert all("status" in words(root) for root in roots.values())


@in_virtual_time
async def test_what_is_not_sampled_has_no_span():
    """Nothing is kept of it either."""
    engine = TracedEngine(share=0.0)
    await engine.pipeline([contact(number) for number in (1, 2, 3)]).run()
    assert engine.spans == ()
    assert engine.ledger.count(Status.OPENED) == 3


@in_virtual_time
async def test_nothing_of_a_contact_is_kept_after_it_has_left():
    """Also after doubts, deferrals and failures."""
    engine = doubting(effect=True)
    await engine.pipeline([contact(number) for number in range(1, 30)]).run()
    await asyncio.sleep(0)
    assert len(named(engine, "contact")) == 29
    assert engine.traced.find(1) is None
    assert engine.traced.find_key("key-1") is None
    assert engine.traced.resume(1) is None


@in_virtual_time
async def test_a_delivery_that_fails_ends_its_span_with_the_type_of_the_error():
    """The message of an exception may quote anything."""
    engine = engine_of(check=[])
    with pytest.raises(IndexError):
        await engine.deliver()
    assert only(engine, "contact").attributes["error.type"] == "IndexError"
    assert engine.traced.find(1) is None


def doubting(*, effect, **more):
    """An engine whose first send gets no answer."""
    lost = [1]

    def answer(request):
        if request.step is Step.CHECK:
            return ENDED
        if lost:
            lost.pop()
            request.takes_effect = effect
            return RESET
        return Answer(201, True, conversation_id=request.conversation_id.replace("conv", "new"))

    return TracedEngine(answer, DecisionPolicy(retry=POLICY, reconcile=BOUNDS), **more)


def contact_state(number):
    name, person = f"conversation-{number}", f"person-{number}"
    return replace(OPEN.conversation, id=name, external_contact_id=person)
