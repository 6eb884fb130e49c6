"""Several campaigns in one stream: sharing, pausing, and how such a run ends."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from dispatcher.domain.events import Gauges
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import HaltReason, Status, Step
from dispatcher.domain.wait_counts import OTHER
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import SourceError
from tests.support.campaigns import CampaignsFixture, people
from tests.support.engine import EngineFixture
from tests.support.memory_ledger import MemoryLedger
from tests.support.scripted import GOOD, NOT_ENDED
from tests.support.virtual import START, in_virtual_time, until


@pytest.mark.parametrize(("share", "of_four"), [(1, 2), (3, 3)])
@in_virtual_time
async def test_a_fair_share_of_the_workers(share, of_four):
    """While both have contacts, each is begun as often as its share says."""
    run = CampaignsFixture().add("a", people("a", 400), share=share).add("b", people("b", 400))
    assert await run.pipeline().run() is RunOutcome.DONE
    both = run.checked()[20:400]
    assert Counter(both)["a"] == pytest.approx(len(both) * of_four / 4, abs=4)
    assert (run.opened("a"), run.opened("b")) == (400, 400)


@in_virtual_time
async def test_a_campaign_without_contacts_leaves_all_workers_to_the_other():
    """A small campaign does not slow a large one down, nor does one that waits for rows."""
    run = CampaignsFixture().add("a", people("a", 300))
    run.add("b", people("b-early", 4), people("b-late", 4), seconds=2.0)
    assert await run.pipeline().run() is RunOutcome.DONE
    assert (run.opened("a"), run.opened("b")) == (300, 8)
    assert run.engine.clock.monotonic() == pytest.approx(300 / 4 * 0.1, abs=0.5)


@in_virtual_time
async def test_priority():
    """The lower one is begun when the higher one has nothing more, and has to wait for it."""
    run = (
        CampaignsFixture()
        .add("low", people("low", 100))
        .add("high", people("high", 100), priority=1)
    )
    assert await run.pipeline(by_priority=True).run() is RunOutcome.DONE
    begun = run.checked()
    assert begun.index("low") >= 90
    assert Counter(begun) == {"low": 100, "high": 100}


@in_virtual_time
async def test_a_higher_campaign_comes_between_as_soon_as_it_has_something():
    """Rows that arrive later go before those of a lower priority that lie ready already."""
    run = CampaignsFixture().add("low", people("low", 400))
    run.add("high", people("high", 20), seconds=3.0, priority=1)
    assert await run.pipeline(by_priority=True).run() is RunOutcome.DONE
    begun = run.checked()
    first = begun.index("high")
    assert begun[first : first + 20] == ["high"] * 20
    assert 0 < first < 380


@in_virtual_time
async def test_a_paused_campaign_takes_nothing_new_and_goes_on_when_resumed():
    """Contacts in flight are finished, ready ones are due again; the other campaign goes on."""
    run = CampaignsFixture().add("a", people("a", 200)).add("b", people("b", 200))
    running = asyncio.create_task(run.pipeline(workers=4).run())
    await until(lambda: run.opened("a") >= 20)
    await run.stream.pause("a")
    at = run.engine.clock.monotonic()
    assert run.ledgers["a"].paused_at == pytest.approx(START + at, abs=0.01)
    await asyncio.sleep(1)
    begun_late = [r for r in run.engine.platform.requests if r.at > at and r.step is Step.CHECK]
    assert {r.conversation_id.split("-")[0] for r in begun_late} == {"b"}
    assert run.ledgers["a"].count(Status.CLAIMED, Status.SENDING) == 0
    assert run.opened("b") > 40
    await run.stream.resume("a")
    assert await running is RunOutcome.DONE
    assert run.ledgers["a"].paused_at is None
    assert (run.opened("a"), run.opened("b")) == (200, 200)
    assert set(Counter(r.conversation_id for r in run.engine.platform.requests).values()) == {2}
    paused = HaltReason.PAUSED
    assert run.pause_events("a") == [("Halted", paused), ("Resumed", paused)]
    assert run.pause_events("b") == []


@in_virtual_time
async def test_a_campaign_that_the_ledger_has_paused_is_not_begun():
    """The flag outlives the daemon: its source is not even read, and the other one finishes."""
    run = CampaignsFixture().add("a", people("a", 10)).add("b", people("b", 10))
    await run.ledgers["a"].pause(START - 60)
    assert await run.pipeline().run() is RunOutcome.PAUSED
    assert (run.ledgers["a"].rows, run.opened("b")) == ({}, 10)
    assert run.sources["a"].yielded == 0
    assert run.pause_events("a") == [("Halted", HaltReason.PAUSED)]
    assert run.engine.clock.monotonic() < 2


@in_virtual_time
async def test_a_campaign_that_is_paused_with_its_last_contacts_is_not_taken_for_finished():
    """What lay ready is given back and left over: the run says so."""
    run = CampaignsFixture().add("a", people("a", 40))
    running = asyncio.create_task(run.pipeline(workers=2).run())
    (campaign_run,) = run.campaign_runs
    await until(lambda: campaign_run.intake.exhausted and campaign_run.ready)
    await run.stream.pause("a")
    assert await running is RunOutcome.PAUSED
    assert run.ledgers["a"].count(Status.READY) > 0


@in_virtual_time
async def test_a_pause_that_is_noticed_by_nobody_else():
    """With all campaigns paused a run with --once ends, one without it waits to be resumed."""
    run = CampaignsFixture().add("a", people("a", 10))
    await run.ledgers["a"].pause(START)
    running = asyncio.create_task(run.pipeline(once=False).run())
    await asyncio.sleep(3600)
    assert run.engine.platform.requests == []
    await run.stream.resume("a")
    await until(lambda: run.opened("a") == 10, seconds=5)
    run.stream.stop()
    assert await running is RunOutcome.DRAINED


@in_virtual_time
async def test_a_pause_that_another_process_wrote_is_followed_when_it_is_read():
    """So is its end. Whoever was claimed ahead is given back."""
    run = CampaignsFixture().add("a", people("a", 60)).add("b", people("b", 60))
    running = asyncio.create_task(run.pipeline(workers=2, once=False).run())
    await asyncio.sleep(1.0)
    await run.ledgers["a"].pause(START)
    await run.stream.reread()
    await asyncio.sleep(10.0)
    paused = run.ledgers["a"]
    assert paused.count(Status.CLAIMED, Status.SENDING) == 0
    done = run.opened("a")
    await asyncio.sleep(60.0)
    assert 0 < run.opened("a") == done < 60
    await run.stream.reread()  # nothing new
    await paused.resume()
    await run.stream.reread()
    await until(lambda: run.opened("a") == 60, seconds=60)
    run.stream.stop()
    assert await running is RunOutcome.DRAINED
    reasons = HaltReason.PAUSED
    assert run.pause_events("a") == [("Halted", reasons), ("Resumed", reasons)]


@in_virtual_time
async def test_a_finished_campaign_may_be_paused():
    """A run ends as paused only for what it would still have to do."""
    run = CampaignsFixture().add("a", people("a", 2)).add("b", people("b", 100))
    running = asyncio.create_task(run.pipeline().run())
    await until(lambda: run.opened("a") == 2 and run.campaign_runs[0].source_finished)
    await asyncio.sleep(0.5)
    await run.stream.pause("a")
    assert await running is RunOutcome.DONE


@in_virtual_time
async def test_pausing_twice_and_in_the_middle_of_a_claim():
    """A claim that comes back after the pause is given back; nobody is lost or sent to twice."""
    run = CampaignsFixture().add("a", people("a", 60))
    held = asyncio.Event()

    async def before(name):
        if name == "claim" and run.opened("a") >= 10 and not held.is_set():
            held.set()
            await asyncio.sleep(0.2)

    run.ledgers["a"].before = before
    for contact in people("a", 60):
        run.ledgers["a"].put(contact)
    running = asyncio.create_task(run.pipeline(workers=8, once=False).run())
    await held.wait()
    await asyncio.gather(run.stream.pause("a"), run.stream.pause("a"))
    await asyncio.sleep(1)
    assert run.ledgers["a"].count(Status.CLAIMED, Status.SENDING) == 0
    assert 10 <= run.opened("a") < 60
    await run.stream.resume("a")
    await run.stream.resume("a")
    await until(lambda: run.opened("a") == 60, seconds=10)
    run.stream.stop()
    assert await running is RunOutcome.DRAINED
    assert len(run.pause_events("a")) == 2


@in_virtual_time
async def test_a_campaign_that_is_not_there():
    """Pausing an unknown one names those that the run has."""
    run = CampaignsFixture().add("a").add("b")
    stream = run.pipeline()
    for act in (stream.pause, stream.resume):
        with pytest.raises(LookupError, match="no campaign c; it has: a, b"):
            await act("c")


@in_virtual_time
async def test_wake_claims_what_another_process_put_into_the_ledger():
    """A run that has nothing to do finds it at once, in whichever campaign."""
    run = CampaignsFixture().add("a").add("b")
    running = asyncio.create_task(run.pipeline(once=False).run())
    await asyncio.sleep(60)
    run.ledgers["b"].put(people("b", 1)[0])
    run.stream.wake()
    await until(lambda: run.opened("b") == 1, seconds=2)
    run.stream.stop()
    assert await running is RunOutcome.DRAINED


@in_virtual_time
async def test_a_limit_is_that_of_the_run():
    """--limit bounds what all campaigns take together."""
    run = CampaignsFixture(limit=7).add("a", people("a", 50)).add("b", people("b", 50))
    assert await run.pipeline().run() is RunOutcome.DONE
    assert run.opened("a") + run.opened("b") == 7


@in_virtual_time
async def test_a_drain_releases_what_is_ready_of_all_campaigns():
    """Nothing stays claimed in any campaign, and nothing new begins."""
    run = CampaignsFixture().add("a", people("a", 300)).add("b", people("b", 300))
    running = asyncio.create_task(run.pipeline(workers=8).run())
    await until(lambda: run.opened("a") > 20 and run.opened("b") > 20)
    run.stream.stop()
    assert await running is RunOutcome.DRAINED
    for ledger in run.ledgers.values():
        assert ledger.count(Status.CLAIMED, Status.SENDING) == 0
    assert all(source.closed for source in run.sources.values())


@in_virtual_time
async def test_a_source_that_fails_ends_the_run_of_all():
    """What is in flight is settled; no campaign stops without an error."""
    broken = SourceError("b.csv cannot be read")
    run = (
        CampaignsFixture().add("a", people("a", 300)).add("b", people("b", 4), broken, seconds=1.0)
    )
    with pytest.raises(SourceError, match=r"b\.csv"):
        await run.pipeline().run()
    assert run.opened("a") > 0
    assert run.ledgers["a"].count(Status.CLAIMED, Status.SENDING) == 0


@in_virtual_time
async def test_gauges_are_the_campaigns_own():
    """Backlog and contacts in flight add up to the run's; pace and quota are the run's."""
    run = CampaignsFixture().add("a", people("a", 40)).add("b", people("b", 10))
    later = [replace(contact, not_before=START + 1000) for contact in people("b-later", 5)]
    run.add("c", later)
    assert await run.pipeline(gauge_seconds=0.1).run() is RunOutcome.DEFERRED
    last = {name: events.of_type(Gauges)[-1] for name, events in run.events.items()}
    assert {name: gauges.backlog for name, gauges in last.items()} == {"a": 0, "b": 0, "c": 5}
    assert {(gauges.pace, gauges.quota_used) for gauges in last.values()} == {(100.0, 0.5)}
    most = max(gauges.in_flight for gauges in run.events["a"].of_type(Gauges))
    assert 0 < most <= 4


@in_virtual_time
async def test_sessions_that_an_earlier_run_waited_for_keep_their_reason():
    """They are put off while other contacts are ready, and are not taken for unknown."""
    ledger = MemoryLedger()
    for contact in people("old", 400):
        ledger.put(contact, progress=Progress(not_ended_since=START))
    engine = EngineFixture(lambda r: NOT_ENDED if r.conversation_id[:3] == "old" else GOOD[r.step])
    run = CampaignsFixture(engine=engine).add("a", people("new", 400), ledger=ledger)
    running = asyncio.create_task(run.pipeline(gauge_seconds=0.1).run())
    await asyncio.sleep(3.0)
    run.stream.stop()
    await running
    waiting = [
        {reason: n for (state, reason), n in tick.contacts.items() if state == "waiting"}
        for tick in run.events["a"].of_type(Gauges)
    ]
    assert max(one.get("not_ended", 0) for one in waiting) > 30
    assert not any(OTHER in one for one in waiting)
