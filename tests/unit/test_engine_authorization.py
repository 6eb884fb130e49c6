"""403s whose body says what is missing: which halt follows, what is counted, and what ends it."""

import asyncio
from itertools import pairwise

import pytest

from dispatcher.domain.answer import GrantKind, MissingGrant
from dispatcher.domain.events import Halted, ScopeError
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from tests.support.engine import PROBE_SECONDS, EngineFixture, contact, contacts, event_words
from tests.support.scripted import GOOD, NOT_ENDED, refused
from tests.support.virtual import in_virtual_time, until

SEND, WHERE = "conversation:message:create", "the page of roles"
LINK = Step.OPEN


def lacking(lack, name=SEND):
    """The platform's 403 whose body names what is missing."""
    return refused(403, missing_kind=lack, missing_grants=(MissingGrant(lack, name, WHERE),))


def refusing(refusal, only=None):
    """A engine whose opens are refused, or those of one conversation; and how to end that."""
    open_again = asyncio.Event()

    def answer(request):
        concerned = only is None or request.conversation_id == only
        shut = request.step is LINK and concerned and not open_again.is_set()
        return refusal if shut else GOOD[request.step]

    return EngineFixture(answer), open_again


def sends(engine, since=0.0):
    return [
        request
        for request in engine.platform.requests
        if request.step is LINK and request.at >= since
    ]


@pytest.mark.parametrize(
    ("lack", "source", "reason"),
    [
        (GrantKind.PERMISSION, "permission", HaltReason.PERMISSION),
        (GrantKind.DIVISION, "division", HaltReason.DIVISION),
        (GrantKind.SCOPE, "forbidden", HaltReason.SCOPE),
        (None, "forbidden", HaltReason.FORBIDDEN),
    ],
)
@in_virtual_time
async def test_the_body_decides_the_halt_and_what_is_counted(lack, source, reason):
    """Its words name what is missing and where it is granted; a send that is taken ends it."""
    engine, open_again = refusing(refused(403) if lack is None else lacking(lack))
    run = asyncio.create_task(engine.pipeline(contacts(8), wait_limit=900).run())
    await until(lambda: engine.breaker.reason is reason)
    await asyncio.sleep(40)
    assert engine.breaker.reason is reason
    assert not engine.ledger.count(Status.PARKED)
    counted = [fact for fact in event_words(engine.events) if fact.startswith("scope:")]
    assert counted == [f"scope:{source}:open"] * len(sends(engine))
    (halted,) = engine.events.of_type(Halted)
    if lack is not None:
        assert all(part in halted.detail for part in (lack, SEND, WHERE))
        assert {event.missing for event in engine.events.of_type(ScopeError)} == {(SEND,)}
    open_again.set()
    assert await run is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 8
    assert len(engine.events.of_type(Halted)) == 1


@in_virtual_time
async def test_while_a_permission_is_missing_one_contact_an_interval_is_tried():
    """As for a 403 without a cause: at once with another contact, then by the interval."""
    engine, _ = refusing(lacking(GrantKind.PERMISSION))
    engine.platform.latency = 0.01
    async with engine.working(contact(0)):
        await until(lambda: engine.breaker.reason is HaltReason.PERMISSION)
        async with engine.working(*contacts(30), probing=False):
            await asyncio.sleep(100)
            moments = [request.at for request in sends(engine)]
    assert moments[1] - moments[0] < 0.1
    assert all(b - a > PROBE_SECONDS - 0.2 for a, b in pairwise(moments[1:]))
    assert len(moments) == 2 + 6


@pytest.mark.parametrize("lack", [GrantKind.PERMISSION, GrantKind.DIVISION, GrantKind.SCOPE])
@in_virtual_time
async def test_a_contact_that_alone_is_out_of_reach_is_parked_while_others_pass(lack):
    """A role may have the permission elsewhere than in this conversation's division."""
    engine, _ = refusing(lacking(lack), only="conversation-2")
    assert await engine.pipeline(contacts(9)).run() is RunOutcome.DONE
    assert engine.ledger.end("key-2") == (Status.PARKED, Reason.FORBIDDEN_CONTACT)
    assert engine.ledger.count(Status.OPENED) == 8


@pytest.mark.parametrize("lack", [GrantKind.PERMISSION, GrantKind.DIVISION])
@in_virtual_time
async def test_a_token_that_lacks_the_scope_explains_the_refusal_whatever_the_body_says(lack):
    """It halts for the scope, and the next token with the scope lets the run go on."""
    engine, open_again = refusing(lacking(lack))
    engine.platform.missing = ("write",)
    run = asyncio.create_task(engine.pipeline(contacts(4), wait_limit=900).run())
    await until(lambda: engine.breaker.reason is HaltReason.SCOPE)
    assert {fact for fact in event_words(engine.events) if fact.startswith("scope:")} == {
        "scope:forbidden:open"
    }
    before = len(engine.platform.requests)
    await asyncio.sleep(60)
    assert len(engine.platform.requests) == before, "no request while the token lacks the scope"
    engine.platform.missing = ()
    open_again.set()
    assert await run is RunOutcome.DONE
    assert [event.reason for event in engine.events.of_type(Halted)] == [HaltReason.SCOPE]


@in_virtual_time
async def test_a_scope_that_only_the_body_misses_is_proved_by_a_send_and_not_by_a_check():
    """If the token's scopes are not known, a state check that passes says nothing."""
    engine, _ = refusing(lacking(GrantKind.SCOPE, "conversations"))
    async with engine.working(contact(1)):
        await until(lambda: engine.breaker.reason is HaltReason.SCOPE)
        engine.platform.answer = lambda request: (
            NOT_ENDED if request.step is Step.CHECK else lacking(GrantKind.SCOPE)
        )
        async with engine.working(contact(2), probing=False):
            await asyncio.sleep(4 * PROBE_SECONDS)
            assert Step.CHECK in engine.platform.steps(since=PROBE_SECONDS)
            assert engine.breaker.reason is HaltReason.SCOPE


@pytest.mark.parametrize("lack", [GrantKind.PERMISSION, GrantKind.DIVISION])
@in_virtual_time
async def test_a_client_without_any_role_halts_for_what_was_refused_until_it_has_one(lack):
    """The token shows it: no request is made meanwhile, and the reason stays."""
    engine, open_again = refusing(lacking(lack))
    engine.platform.missing = (MissingGrant(GrantKind.PERMISSION, SEND, WHERE),)
    run = asyncio.create_task(engine.pipeline(contacts(4), wait_limit=900).run())
    await until(lambda: engine.breaker.reason is not None)
    before = len(engine.platform.requests)
    await asyncio.sleep(60)
    assert len(engine.platform.requests) == before
    assert [event.reason for event in engine.events.of_type(Halted)] == [HaltReason(lack)]
    engine.platform.missing = ()
    open_again.set()
    assert await run is RunOutcome.DONE


@in_virtual_time
async def test_a_run_that_ends_while_a_permission_is_missing_says_that_it_was_halted():
    """With nobody to grant it, the run ends as halted, and nobody is rejected."""
    engine, _ = refusing(lacking(GrantKind.PERMISSION))
    assert await engine.pipeline(contacts(3), wait_limit=60).run() is RunOutcome.HALTED
    assert engine.ledger.count(Status.READY) == 3
