"""Several OAuth clients: work goes where quota is left, and a fault of one halts that one."""

import asyncio

import pytest

from dispatcher.domain.events import (
    Answered,
    Gauges,
    Halted,
    Probed,
    Resumed,
    ScopeError,
    Throttled,
)
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import CredentialsError, TokenUnavailableError
from tests.support.engine import PROBE_SECONDS, contact, contacts
from tests.support.pool import PoolFixture
from tests.support.scripted import GOOD, NOT_SENT, RESET, refused, throttled
from tests.support.virtual import in_virtual_time, until

CHECK, LINK = Step.CHECK, Step.OPEN


def good(request):
    return GOOD[request.step]


class Lost:
    """A write scope that one client lacks until it is granted again."""

    def __init__(self, engine, name, status=403):
        self.engine, self.name = engine, name
        engine.platforms[name].answer = lambda r: refused(status) if r.step is LINK else good(r)
        engine.platforms[name].missing = ("write",)

    def restore(self):
        self.engine.platforms[self.name].answer = good
        self.engine.platforms[self.name].missing = ()


def opened(engine):
    return engine.ledger.count(Status.OPENED)


@in_virtual_time
async def test_work_goes_where_quota_is_left():
    """A client with twice the quota makes twice the requests, and neither waits for the other."""
    engine = PoolFixture("small", "large", quotas={"small": 60, "large": 120})
    async with engine.working(*contacts(200), probing=False):
        await asyncio.sleep(60)
        assert engine.made("small") == pytest.approx(60, abs=2)
        assert engine.made("large") == pytest.approx(120, abs=3)


@in_virtual_time
async def test_sends_come_before_checks_whichever_client_has_quota():
    """Of two waiting requests the send leaves with the first permit of any client."""
    engine = PoolFixture("one", "other", quotas={"one": 60, "other": 60})
    async with engine.working(*contacts(40), probing=False):
        await until(lambda: opened(engine) >= 5)
        states = [r for name in engine.platforms for r in engine.platforms[name].requests]
        states.sort(key=lambda request: request.at)
        checked = [r.conversation_id for r in states if r.step is CHECK]
        sent = [r.conversation_id for r in states if r.step is LINK]
        assert len(checked) - len(sent) <= 2


@in_virtual_time
async def test_a_contact_is_checked_by_one_client_and_written_to_by_another():
    """The check's client has nothing left for now: the send does not wait for it."""
    engine = PoolFixture("one", "other", quotas={"one": 1, "other": 1})
    row = await engine.deliver()
    assert row.status is Status.OPENED
    assert sorted([engine.steps("one"), engine.steps("other")]) == [[CHECK], [LINK]]
    assert {event.client for event in engine.events.of_type(Answered)} == {"one", "other"}


@pytest.mark.parametrize("status", [403, 409])
@in_virtual_time
async def test_a_client_without_its_scope_halts_alone(status):
    """The other goes on, and nobody is left waiting for the one that is halted."""
    engine = PoolFixture("one", "other")
    Lost(engine, "one", status)
    async with engine.working(*contacts(20)) as tasks:
        await asyncio.wait(tasks, timeout=5)
        assert opened(engine) == 20
        assert engine.reason("one") is HaltReason.SCOPE
        assert engine.reason("other") is None
        assert engine.pool.halted_since is None
    assert [(e.reason, e.client) for e in engine.events.of_type(Halted)] == [
        (HaltReason.SCOPE, "one")
    ]
    assert {e.client for e in engine.events.of_type(ScopeError)} == {"one"}


@in_virtual_time
async def test_a_halted_client_is_probed_by_one_contact_and_goes_on():
    """While its scope is missing only its token is renewed; then one contact proves it."""
    engine = PoolFixture("one", "other", quotas={"one": 300, "other": 60})
    lost = Lost(engine, "one")
    async with engine.working(*contacts(60)):
        await until(lambda: engine.reason("one") is not None)
        halted = asyncio.get_running_loop().time()
        await asyncio.sleep(2.5 * PROBE_SECONDS)
        assert engine.made("one", halted + 0.1) == 0
        lost.restore()
        await until(lambda: engine.reason("one") is None, PROBE_SECONDS + 5)
        resumed = asyncio.get_running_loop().time()
        assert engine.made("one", halted + 0.1, resumed) <= 5
        await until(lambda: opened(engine) == 60, 30)
        assert engine.made("one", resumed) > 10
    assert [event.client for event in engine.events.of_type(Resumed)] == ["one"]
    assert {event.client for event in engine.events.of_type(Probed)} == {"one"}


@in_virtual_time
async def test_a_probe_comes_out_of_another_clients_line():
    """All wait in the queue of the client that works, which is long: one is taken out of it."""
    engine = PoolFixture("one", "other", quotas={"other": 1})
    engine.clients["one"].breaker.halt(HaltReason.FORBIDDEN, "", LINK)
    async with engine.working(*contacts(5)):
        await asyncio.sleep(5)
        assert engine.reason("one") is None
        assert opened(engine) == 5


@in_virtual_time
async def test_the_run_is_halted_once_every_client_is():
    """Nobody is written to then, but by probes; the one that comes back first does the work."""
    engine = PoolFixture("one", "other")
    first, second = Lost(engine, "one"), Lost(engine, "other")
    async with engine.working(*contacts(10)):
        await until(lambda: engine.pool.halted_since is not None)
        await asyncio.sleep(2 * PROBE_SECONDS)
        assert opened(engine) == 0
        second.restore()
        await until(lambda: opened(engine) == 10)
        assert engine.reason("one") is HaltReason.SCOPE
        first.restore()


@in_virtual_time
async def test_a_run_ends_as_halted_only_if_all_clients_are():
    """With one client left it is done; with none it ends after the wait limit."""
    engine = PoolFixture("one", "other")
    Lost(engine, "one")
    assert await engine.pipeline(contacts(10), wait_limit=50).run() is RunOutcome.DONE
    engine = PoolFixture("one", "other")
    Lost(engine, "one")
    Lost(engine, "other")
    assert await engine.pipeline(contacts(10), wait_limit=50).run() is RunOutcome.HALTED


@in_virtual_time
async def test_a_429_holds_the_client_that_got_it():
    """Its other requests wait until the hold is over; the other client goes on meanwhile."""
    engine = PoolFixture("one", "other")
    answers = iter([throttled(30.0)])
    engine.platforms["one"].answer = lambda r: next(answers, None) or good(r)
    async with engine.working(*contacts(20)) as tasks:
        await asyncio.wait(tasks, timeout=5)
        assert opened(engine) == 20
    (event,) = engine.events.of_type(Throttled)
    assert event.client == "one"
    assert engine.pool.hold_remaining(CHECK) == 0
    assert engine.clients["one"].pacer.hold_remaining(CHECK) > 20


@in_virtual_time
async def test_a_daily_limit_of_one_client_defers_nobody():
    """Its sends are held for an hour; they leave through the other client at once."""
    engine = PoolFixture("one", "other")
    engine.platforms["one"].answer = lambda r: (
        throttled(3600.0, "sends.per.day") if r.step is LINK else good(r)
    )
    async with engine.working(*contacts(10)) as tasks:
        await asyncio.wait(tasks, timeout=5)
        assert opened(engine) == 10
        assert engine.pool.long_hold_remaining(LINK) == 0


@in_virtual_time
async def test_a_daily_limit_of_all_clients_defers_until_the_first_ends():
    """Nobody blocks a worker; the contact is due when the shorter of the two is over."""
    engine = PoolFixture("one", "other")
    for name, seconds in (("one", 3600.0), ("other", 600.0)):
        engine.platforms[name].answer = lambda r, seconds=seconds: (
            throttled(seconds, "sends.per.day") if r.step is LINK else good(r)
        )
    row = await engine.deliver()
    assert row.status is Status.READY
    assert row.due - engine.clock.time() == pytest.approx(600, abs=1)


@in_virtual_time
async def test_a_probe_whose_endpoint_is_held_for_long_goes_another_way():
    """It must not keep its worker for an hour for the sake of a halted client."""
    engine = PoolFixture("one", "other")
    engine.clients["one"].breaker.halt(HaltReason.FORBIDDEN, "", LINK)
    engine.clients["one"].pacer.hold(LINK, 3600)
    async with engine.working(*contacts(10)) as tasks:
        await asyncio.wait(tasks, timeout=5)
        assert opened(engine) == 10


@in_virtual_time
async def test_refused_credentials_halt_the_client_that_has_them():
    """Its token has expired and no other is issued to it; contacts go through the other."""
    engine = PoolFixture("one", "other")
    engine.platforms["one"].answer = lambda _: CredentialsError("refused")
    engine.platforms["one"].missing = CredentialsError("refused")
    async with engine.working(*contacts(10)) as tasks:
        await asyncio.wait(tasks, timeout=5)
        assert opened(engine) == 10
    assert engine.reason("one") is HaltReason.CREDENTIALS
    assert all(row.progress.attempts == 0 for row in engine.ledger.rows.values())


@in_virtual_time
async def test_a_client_whose_tokens_are_refused_halts_alone():
    """Each client's 401 are judged by its own tokens, whose numbers mean nothing to others."""
    engine = PoolFixture("one", "other", quotas={"other": 60})
    engine.platforms["one"].answer = lambda _: refused(401)
    engine.platforms["other"].token = 1000
    async with engine.working(*contacts(10)) as tasks:
        await asyncio.wait(tasks, timeout=40)
        assert opened(engine) == 10
    assert engine.reason("one") is HaltReason.UNAUTHORIZED
    assert engine.reason("other") is None


@in_virtual_time
async def test_a_client_that_cannot_reach_the_platform_costs_no_attempts():
    """It halts after some requests that could not leave; the contacts are all written to."""
    engine = PoolFixture("one", "other")
    engine.platforms["one"].answer = lambda _: NOT_SENT
    engine.platforms["one"].missing = TokenUnavailableError("down")
    ending = await engine.pipeline(contacts(10)).run()
    assert ending is RunOutcome.DONE
    assert opened(engine) == 10
    assert engine.reason("one") is HaltReason.PLATFORM_DOWN
    assert all(row.progress.attempts == 0 for row in engine.ledger.rows.values())


@in_virtual_time
async def test_an_expired_token_of_one_client_holds_up_nobody_else():
    """While it is renewed the other client does the work."""
    engine = PoolFixture("one", "other", quotas={"one": 60})
    engine.platforms["one"].expired, engine.platforms["one"].renewal = True, 20.0
    async with engine.working(*contacts(10)):
        await asyncio.sleep(5)
        assert opened(engine) == 9
        await until(lambda: opened(engine) == 10, 30)


@in_virtual_time
async def test_a_contact_refused_for_itself_is_parked_whichever_client_asks():
    """Each client halts for it once, is proved right by another contact, and goes on."""
    engine = PoolFixture("one", "other")
    for platform in engine.platforms.values():
        platform.answer = lambda r: (
            refused(403) if r.step is LINK and r.conversation_id == "conversation-1" else good(r)
        )
    people = [contact(1), *contacts(30, first=2)]
    later = contacts(200, first=100)
    pipeline = engine.pipeline(people, later, workers=4, wait_limit=200)
    assert await pipeline.run() in (RunOutcome.DONE, RunOutcome.HALTED)
    end = engine.ledger.rows[1]
    assert end.status in (Status.PARKED, Status.READY)
    assert opened(engine) == 230


@in_virtual_time
async def test_a_drain_waits_for_no_halted_client():
    """What was read is sent through the open one, and the run ends soon."""
    engine = PoolFixture("one", "other", quotas={"other": 600})
    Lost(engine, "one")
    pipeline = engine.pipeline(contacts(200), workers=8)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(3)
    pipeline.stop()
    done, _ = await asyncio.wait([running], timeout=3)
    assert done
    assert running.result() is RunOutcome.DRAINED
    assert engine.ledger.count(Status.CLAIMED) == 0


@in_virtual_time
async def test_gauges_of_the_clients_and_of_the_whole():
    """The share of all quotas that is used is weighed by what each client may."""
    engine = PoolFixture("small", "large", quotas={"small": 60, "large": 180})
    await engine.pipeline(contacts(100)).run()
    gauges = engine.events.of_type(Gauges)[-1]
    by_name = {one.client: one for one in gauges.clients}
    assert set(by_name) == {"small", "large"}
    assert gauges.pace == pytest.approx(sum(one.pace for one in by_name.values()))
    limits = {name: one.quota.limit for name, one in by_name.items()}
    assert limits == {"small": pytest.approx(60), "large": pytest.approx(180)}
    weighed = (by_name["small"].quota_used * 60 + by_name["large"].quota_used * 180) / 240
    assert gauges.quota_used == gauges.quota.used == pytest.approx(weighed)
    assert gauges.quota.own == pytest.approx(sum(one.quota.own for one in by_name.values()))


@in_virtual_time
async def test_a_contact_that_stops_waiting_costs_no_permit_of_any_client():
    """A worker that is cut off while it waits in two queues leaves both."""
    engine = PoolFixture("one", "other", quotas={"one": 1, "other": 1})
    await engine.deliver()
    async with engine.working(contact(2), probing=False):
        await asyncio.sleep(1)
    async with engine.working(contact(3), probing=False) as tasks:
        await asyncio.wait(tasks, timeout=70)
    assert engine.ledger.end("key-3") == (Status.OPENED, Reason.DELIVERED)


@in_virtual_time
async def test_a_client_that_may_not_look_back_leaves_it_to_another_client():
    """One client lacks the permission to read analytics: no doubt waits for that one in vain."""
    engine = PoolFixture("one", "other")
    engine.platforms["one"].look_answer = refused(403)

    def lost(request):
        request.takes_effect = request.step is LINK
        return RESET if request.takes_effect else good(request)

    for platform in engine.platforms.values():
        platform.answer = lost
    assert await engine.pipeline(contacts(3), wait_limit=100).run() is RunOutcome.DONE
    assert opened(engine) == 3
    assert engine.steps("one").count(Step.LOOK_BACK) == 1
    assert Step.LOOK_BACK in engine.steps("other")
    assert engine.pool.halted_since is None


@pytest.mark.parametrize("step", [CHECK, LINK])
@in_virtual_time
async def test_a_contact_that_one_client_cannot_reach_is_reached_by_another(step):
    """It is in a division of the other's alone; it is written to once."""
    engine = PoolFixture("one", "other")
    engine.platforms["one"].answer = lambda r: (
        refused(403) if (r.step, r.conversation_id) == (step, "conversation-1") else good(r)
    )
    assert await engine.pipeline(contacts(30), workers=4, wait_limit=200).run() is RunOutcome.DONE
    assert opened(engine) == 30
    sends = [r.conversation_id for name in engine.platforms for r in engine.platforms[name].requests
             if r.step is LINK and r.result is GOOD[LINK]]  # fmt: skip
    assert len(sends) == len(set(sends)) == 30


@in_virtual_time
async def test_nobody_waits_long_for_a_client_that_might_reach_a_contact():
    """Its endpoint is held for an hour: the contact is set aside as with one client."""
    engine = PoolFixture("one", "other")
    engine.clients["other"].pacer.hold(CHECK, 3600)
    engine.platforms["one"].answer = lambda r: (
        refused(403) if r.conversation_id == "conversation-1" else good(r)
    )
    async with engine.working(*contacts(10)) as tasks:
        _, waiting = await asyncio.wait(tasks, timeout=60)
        assert not waiting
    assert opened(engine) == 9
