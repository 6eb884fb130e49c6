"""Intake: due contacts first, new ones only as needed, and nobody spins while nothing comes."""

import asyncio

import pytest

from dispatcher.domain.contact import RejectedRow
from dispatcher.domain.events import BadRow, RowsRead
from dispatcher.domain.status import HaltReason, Status, Step
from dispatcher.engine.intake import PrefetchLimit
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Batch, RequestKey, Stream
from tests.support.engine import EngineFixture, contact, contacts
from tests.support.scripted import ENDED, GOOD, NOT_ENDED, ListSource
from tests.support.virtual import START, in_virtual_time, until

CHECK, LINK = Step.CHECK, Step.OPEN
PLACE = Stream("contacts.csv", "fp-1", "100", 3, done=False)


def checked(engine):
    return [
        request.conversation_id for request in engine.platform.requests if request.step is CHECK
    ]


@in_virtual_time
async def test_due_contacts_are_claimed_before_new_ones():
    """What an earlier run left is finished before the source is read on."""
    engine = EngineFixture()
    for row in contacts(3, first=100):
        engine.ledger.put(row)
    await engine.pipeline(contacts(3), workers=1).run()
    assert checked(engine)[:3] == [f"conversation-{n}" for n in (100, 101, 102)]
    assert engine.ledger.count(Status.OPENED) == 6


@in_virtual_time
async def test_the_earliest_due_goes_first():
    """Whatever the order in which they were written."""
    engine = EngineFixture()
    for number, due in enumerate((30.0, 10.0, 20.0)):
        engine.ledger.put(contact(number), due=START - due)
    await engine.pipeline(workers=1).run()
    assert checked(engine) == ["conversation-0", "conversation-2", "conversation-1"]


@in_virtual_time
async def test_a_contact_that_becomes_due_is_not_held_up_by_new_ones():
    """In the middle of a long source it is taken within moments of its time."""
    states = {"conversation-1": [NOT_ENDED, ENDED]}

    def answer(request):
        scripted = states.get(request.conversation_id)
        return scripted.pop(0) if scripted and request.step is CHECK else GOOD[request.step]

    engine = EngineFixture(answer)
    batches = [contacts(20, first=1 + 20 * number) for number in range(40)]
    await engine.pipeline(*batches, workers=2).run()
    moments = [r.at for r in engine.platform.requests if r.conversation_id == "conversation-1"]
    a_batch = 20 * 0.1 / 2
    assert 5 <= moments[1] - moments[0] <= 5 + a_batch + 0.5
    assert engine.clock.monotonic() > 30, "the run goes on for much longer"


@in_virtual_time
async def test_nothing_is_admitted_while_the_workers_have_enough():
    """The ledger never holds more than a batch and what the workers have."""
    engine = EngineFixture(latency=1)
    source = ListSource(*(Batch(contacts(10, first=1 + 10 * number)) for number in range(30)))
    pipeline = engine.pipeline(source=source, workers=4)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(5)
    assert len(engine.ledger.rows) <= 30
    assert source.yielded <= 5
    await running
    assert engine.ledger.most_ready <= 10
    assert engine.ledger.count(Status.OPENED) == 300


@in_virtual_time
async def test_a_halted_run_reads_no_further():
    """However long it is halted."""
    engine = EngineFixture(lambda _: GOOD[CHECK])
    engine.breaker.halt(HaltReason.SCOPE, "")
    source = ListSource(*(Batch(contacts(10, first=1 + 10 * number)) for number in range(30)))
    engine.platform.missing = ("write",)
    assert await engine.pipeline(source=source, wait_limit=300).run() is RunOutcome.HALTED
    assert len(engine.ledger.rows) <= 20
    assert engine.ledger.count(Status.CLAIMED) == 0


@pytest.mark.parametrize("backlog", [0, 50])
@in_virtual_time
async def test_a_run_that_can_do_nothing_does_not_spin(backlog):
    """Halted for minutes, with or without contacts due in the ledger: some turns a second."""
    engine = EngineFixture()
    engine.breaker.halt(HaltReason.SCOPE, "")
    engine.platform.missing = ("write",)
    for row in contacts(backlog, first=100):
        engine.ledger.put(row)
    source = ListSource(*(Batch(contacts(10, first=1 + 10 * n)) for n in range(3)), seconds=0)
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(engine.pipeline(source=source, wait_limit=600).run())
    await asyncio.sleep(10)
    turns, calls = loop.turns, engine.ledger.calls.total()
    await asyncio.sleep(400)
    assert loop.turns - turns < 30 * 400
    assert engine.ledger.calls.total() - calls < 2 * 400
    assert await running is RunOutcome.HALTED


@in_virtual_time
async def test_a_slow_source_does_not_spin_and_does_not_block_due_contacts():
    """One batch in three minutes; meanwhile a contact becomes due and is delivered in time."""
    engine = EngineFixture()
    engine.ledger.put(contact(9), due=START + 60)
    source = ListSource(Batch(contacts(1)), seconds=180)
    loop = asyncio.get_running_loop()
    assert await engine.pipeline(source=source).run() is RunOutcome.DONE
    (due,) = [r.at for r in engine.platform.requests if r.conversation_id == "conversation-9"][:1]
    assert due == pytest.approx(60, abs=0.3)
    assert engine.clock.monotonic() == pytest.approx(180, abs=1)
    assert loop.turns < 180 * 400
    assert engine.ledger.calls["claim"] <= 5
    assert engine.ledger.calls["backlog"] < 100


@in_virtual_time
async def test_a_source_that_has_ended_is_waited_out_in_a_few_turns_a_second():
    """A daemon whose source has ended keeps looking for what becomes due, calmly."""
    engine = EngineFixture()
    engine.ledger.put(contact(1), due=START + 200)
    loop = asyncio.get_running_loop()
    pipeline = engine.pipeline(once=False)
    running = asyncio.create_task(pipeline.run())
    await until(lambda: engine.ledger.count(Status.OPENED))
    assert loop.now == pytest.approx(200, abs=1)
    turns = loop.turns
    await asyncio.sleep(400)
    assert loop.turns - turns < 30 * 400
    pipeline.stop()
    assert await running is RunOutcome.DRAINED


@in_virtual_time
async def test_as_many_contacts_are_taken_as_the_limit_says():
    """The rest stays where it is, in the ledger or in the source."""
    engine = EngineFixture()
    assert await engine.pipeline(contacts(50), limit=7).run() is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == len(checked(engine)) == 7


@in_virtual_time
async def test_the_source_starts_where_the_ledger_left_it():
    """Streams go to the source, and come back with each batch."""
    engine = EngineFixture()
    engine.ledger.files = {"fp-0": PLACE}
    await engine.pipeline(Batch(contacts(2), stream=PLACE)).run()
    assert engine.source.known == {"fp-0": PLACE}
    assert engine.ledger.files["fp-1"] == PLACE


@in_virtual_time
async def test_a_batch_is_done_once_it_is_admitted():
    """A source learns what became of its rows, and only after they are in the ledger."""
    engine = EngineFixture()
    done = []

    def note(admitted):
        done.append((admitted.admitted, admitted.duplicates, len(engine.ledger.rows)))

    await engine.pipeline(Batch([*contacts(2), contact(1)], done=note)).run()
    assert done == [(2, 1, 2)]


@in_virtual_time
async def test_every_row_of_a_batch_is_counted_once():
    """Admitted, duplicates, rejected and filtered rows add up."""
    bad = RejectedRow("contacts.csv", 4, "date", "no date", b"raw")
    batch = Batch([*contacts(3), contact(1)], [bad], filtered=2)
    engine = EngineFixture()
    await engine.pipeline(batch, contacts(2)).run()
    assert engine.events.of_type(RowsRead) == [
        RowsRead(7, 3, 1, 1, 2, (BadRow("contacts.csv", 4, "date", "no date"),)),
        RowsRead(2, 0, 2, 0, 0),
    ]


@in_virtual_time
async def test_a_contact_is_not_sent_before_its_time():
    """not_before is its first due time; the run waits for it if that is not too long."""
    engine = EngineFixture()
    batch = [contact(1, not_before=START + 40), contact(2)]
    assert await engine.pipeline(batch).run() is RunOutcome.DONE
    first = next(r.at for r in engine.platform.requests if r.conversation_id == "conversation-1")
    assert first == pytest.approx(40, abs=0.3)


@in_virtual_time
async def test_batches_without_a_new_contact_are_read_at_full_speed():
    """A file that was read before under another name costs no pause per batch."""
    engine = EngineFixture()
    await engine.pipeline(*[contacts(5)] * 500).run()
    assert engine.clock.monotonic() < 10


def test_the_prefetch_limit_grows_with_the_pace_and_never_beyond_its_bound():
    """A slow run holds few contacts, a fast one as many as it finishes in a moment."""
    prefetch = PrefetchLimit(workers=4, limit=100)
    assert prefetch.update(0.0, 0) == 4
    assert prefetch.update(1.0, 100) == 30
    assert prefetch.update(2.0, 10_000) == 100
    for second in range(3, 20):
        size = prefetch.update(float(second), 10_000)
    assert size == 4


@in_virtual_time
async def test_how_the_source_is():
    """Its rows and the age of the last one, that it does not answer, and its end."""
    engine = EngineFixture()
    rejected = RejectedRow("contacts.csv", 2, "bad_date", "", b"")
    first = Batch(contacts(4), (rejected,), 3, PLACE)
    source = ListSource(first, Batch(contacts(1, 9)), seconds=251.0)
    running = asyncio.create_task(engine.pipeline(source=source).run())
    intake = engine.campaign_run.intake
    await asyncio.sleep(10.0)
    state = intake.source_state()
    assert (state.age, state.rows, state.ended, state.watched) == (None, 0, False, False)
    assert state.waits_for == ""
    await asyncio.sleep(240.0)
    waits_for = intake.source_state().waits_for
    assert waits_for == "it was asked for rows 250 s ago and has not answered"
    await until(lambda: intake.source_state().rows == 8)
    assert intake.source_state().age == pytest.approx(0.0, abs=0.5)
    assert intake.source_state().waits_for == ""
    await asyncio.sleep(5.0)
    assert intake.source_state().age == pytest.approx(5.0, abs=0.5)
    await running
    state = intake.source_state()
    assert (state.rows, state.ended, state.waits_for) == (9, True, "")


class PushedSource(ListSource):
    """Has its batches at once, and then waits for more until it is closed."""

    async def batches(self, known):
        async for batch in super().batches(known):
            yield batch
        await asyncio.Event().wait()


@in_virtual_time
async def test_batches_whose_sender_waits_do_not_wait_for_the_workers():
    """All are committed while one worker still has the first contact; done follows the commit."""
    engine = EngineFixture(latency=10.0, admits_at_once=True)
    admitted = []
    batches = [Batch([contact(number)], done=admitted.append) for number in range(5)]
    pipeline = engine.pipeline(source=PushedSource(*batches), workers=1, once=False)
    running = asyncio.ensure_future(pipeline.run())
    await until(lambda: len(admitted) == len(batches))
    assert not engine.ledger.count(Status.OPENED)
    assert engine.campaign_run.intake.ready_count == len(batches)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED


@in_virtual_time
async def test_a_drain_takes_no_further_batch_and_commits_those_it_took():
    """A batch whose commit is under way at the stop is answered."""
    engine = EngineFixture(admits_at_once=True)
    engine.ledger.commit_seconds = 5.0
    admitted = []
    source = PushedSource(Batch([contact(1)], done=admitted.append))
    pipeline = engine.pipeline(source=source, workers=1, once=False)
    running = asyncio.ensure_future(pipeline.run())
    await until(lambda: source.yielded == 1)
    await asyncio.sleep(1.0)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED
    assert [one.admitted for one in admitted] == [1]
    assert source.closed


@in_virtual_time
async def test_a_repeated_request_is_no_row_of_the_source():
    """The telemetry counts the rows of the first one only, as the ledger does."""
    engine = EngineFixture(admits_at_once=True)
    request, admitted = RequestKey("key", "digest"), []
    batches = [Batch(contacts(2), request=request, done=admitted.append) for _ in range(2)]
    pipeline = engine.pipeline(source=PushedSource(*batches), workers=1, once=False)
    running = asyncio.ensure_future(pipeline.run())
    await until(lambda: len(admitted) == len(batches))
    pipeline.stop()
    await running
    assert [event.rows for event in engine.events.of_type(RowsRead)] == [2]
