"""To whom a message goes that rests on less than a state check: the address is the platform's."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.domain.conversation import State
from dispatcher.domain.events import AddressesDiffer
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import Status, Step
from dispatcher.domain.unchecked_send import EQUAL_ADDRESSES
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.run_options import RunOutcome
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import EngineFixture
from tests.support.session_world import SessionWorld
from tests.support.virtual import VirtualClock, in_virtual_time

CHECK, MANY, NOTIFY, LINK = Step.CHECK, Step.CHECK_MANY, Step.NOTIFY, Step.OPEN
NUMBER = 60


class AddressList:
    """A suppression list that changes; at first it has ids alone."""

    def __init__(self):
        self.values = {"p-0"}
        self.names_addresses = False

    def add_address(self, address):
        self.values.add(address)
        self.names_addresses = True

    @property
    def rules(self):
        return CampaignRules(
            suppressed=lambda ids, addresses: bool(self.values & {*ids, *addresses}),
            list_names_addresses=lambda: self.names_addresses,
        )


def engine_of(world, rules=None, states_per_call=10, a_second=10):
    pacer = QuotaPacer(60 * a_second, 60.0, VirtualClock())
    engine = EngineFixture(world.answer, pacer=pacer, states_per_call=states_per_call, rules=rules)
    world.engine = engine
    return engine


async def delivered(world, engine):
    outcome = await engine.pipeline(world.rows(), workers=20, wait_limit=5000).run()
    assert outcome is RunOutcome.DONE
    assert world.reached_twice() == set()
    return [request.step for request in engine.platform.requests]


def prove(engine, row):
    """Let the engine know that rows have the addresses of the platform."""
    for number in range(EQUAL_ADDRESSES):
        other = replace(row, key=f"proof-{number}")
        engine.delivery.requester.recipients.compare(other, other.address)


def end_before_the_message(world, engine):
    """Let open sessions end just before a message comes."""
    real = world.answer

    def answer(request):
        if request.step is NOTIFY:
            world.turn(State.OPEN, State.ENDED)
        return real(request)

    engine.platform.answer = answer


def recipients(world):
    return {conversation: recipient for conversation, _, recipient in world.effects}


@in_virtual_time
async def test_no_open_goes_to_the_address_of_another_person():
    """A column with other addresses, and every contact waits together with others."""
    world = SessionWorld(bare_records=True)
    for _ in range(NUMBER):
        world.add(State.ENDED, row_address="a-else")
    engine = engine_of(world)
    await delivered(world, engine)
    assert world.broken_rules == []
    assert "else" not in recipients(world).values()
    assert len(engine.events.of_type(AddressesDiffer)) == 1


@in_virtual_time
async def test_right_addresses_are_proved_by_two_states():
    world = SessionWorld(bare_records=True)
    for _ in range(NUMBER):
        world.add(State.ENDED)
    steps = await delivered(world, engine_of(world))
    assert steps.count(CHECK) == 2
    assert steps.count(LINK) == NUMBER
    assert world.broken_rules == []


@in_virtual_time
async def test_an_address_that_differs_ends_opens_that_wait_for_a_permit():
    """Ten have their record when a state shows another address than the row's."""
    world = SessionWorld(bare_records=True)
    first = world.add(State.ENDED)
    moved = [world.add(State.ENDED, row_address="a-else") for _ in range(10)]
    engine = engine_of(world)
    prove(engine, first)
    async with engine.working(*moved) as tasks:
        await asyncio.sleep(0.5)
        sent = len(world.effects)
        engine.delivery.requester.recipients.compare(first, "a-2")
        await asyncio.gather(*tasks)
    assert sent < 6
    assert "else" not in list(recipients(world).values())[sent:]
    assert len(world.effects) == 10


@in_virtual_time
async def test_an_address_that_differs_ends_sends_without_a_state_check_that_wait_for_a_permit():
    world = SessionWorld()
    pacer = QuotaPacer(600, 60.0, VirtualClock())
    engine = EngineFixture(world.answer, pacer=pacer, likeness=RowLikeness())
    world.engine = engine
    for _ in range(20):
        await engine.deliver(world.add(State.ENDED))
    first, before = world.rows()[0], len(world.effects)
    moved = [world.add(State.ENDED, row_address="a-else") for _ in range(10)]
    async with engine.working(*moved) as tasks:
        await asyncio.sleep(0.35)
        sent = len(world.effects)
        engine.delivery.requester.recipients.compare(first, "a-2")
        await asyncio.gather(*tasks)
    assert sent < before + 8
    assert "else" not in list(recipients(world).values())[sent:]
    assert len(world.effects) == before + 10


@in_virtual_time
async def test_without_an_address_from_the_platform_no_record_is_enough_and_nobody_waits_long():
    world = SessionWorld(bare_records=True)
    for _ in range(NUMBER):
        world.add(State.ENDED)
    real = world.answer

    def answer(request):
        found = real(request)
        if found.conversation is None:
            return found
        return replace(found, conversation=replace(found.conversation, address=None))

    world.answer = answer
    engine = engine_of(world)
    steps = await delivered(world, engine)
    assert steps.count(CHECK) == steps.count(LINK) == NUMBER
    assert engine.clock.monotonic() < 2.5 * NUMBER / 10 + 5


@in_virtual_time
async def test_a_refusal_without_an_address_is_no_reason_to_use_the_rows():
    """The record was old and had no address, and the rows' addresses are not proved."""
    world = SessionWorld(bare_records=True)
    real = world.answer

    def answer(request):
        if request.step is NOTIFY:
            world.turn(State.OPEN, State.ENDED)
            return replace(real(request), address=None)
        return real(request)

    world.answer = answer
    engine = engine_of(world)
    rows = [world.add(State.OPEN, row_address="a-else") for _ in range(5)]
    async with engine.working(*rows) as tasks:
        await asyncio.gather(*tasks)
    for row in rows:
        while engine.ledger.row(row.key).status is Status.READY:
            await engine.again(row.key)
    assert "else" not in recipients(world).values()
    assert len(world.effects) == 5


@in_virtual_time
async def test_the_address_in_a_refusal_is_compared_too():
    world = SessionWorld(bare_records=True)
    engine = engine_of(world)
    rows = [world.add(State.ENDED, row_address="a-else") for _ in range(3)]
    real = world.answer

    def old_record(request):
        found = real(request)
        if request.step is not MANY:
            return found
        opened = tuple(replace(record, state=State.OPEN) for record in found.conversations)
        return replace(found, conversations=opened)

    engine.platform.answer = old_record
    async with engine.working(*rows) as tasks:
        await asyncio.gather(*tasks)
    assert len(engine.events.of_type(AddressesDiffer)) == 1


@pytest.mark.parametrize("state", [State.OPEN, State.ENDED])
@in_virtual_time
async def test_a_list_that_names_addresses_since_the_record_was_read(state):
    """The record does not show the address; so the state is read before the send leaves."""
    world, people = SessionWorld(bare_records=True), AddressList()
    engine = engine_of(world, people.rules)
    first = world.add(State.ENDED)
    prove(engine, first)
    rows = [world.add(state, row_address="a-other" if n == 4 else None) for n in range(5)]
    owner = "a-p-6"
    real = world.answer

    def answer(request):
        found = real(request)
        if request.step is MANY:
            people.add_address(owner)
        return found

    engine.platform.answer = answer
    async with engine.working(*rows) as tasks:
        await asyncio.gather(*tasks)
    assert engine.ledger.row(rows[4].key).status is Status.SKIPPED
    assert world.broken_rules == []


@in_virtual_time
async def test_a_list_that_names_addresses_since_the_session_refused_a_message():
    """A contact that is to be opened next was checked before; the list has its address since."""
    world, people = SessionWorld(bare_records=True), AddressList()
    engine = engine_of(world, people.rules, states_per_call=1)
    row = world.add(State.OPEN, row_address="")
    end_before_the_message(world, engine)
    found = await engine.deliver(row)
    assert found.progress.open_next
    people.add_address("a-p-1")
    await engine.again(row.key)
    assert found.status is Status.SKIPPED
    assert world.effects == []


@in_virtual_time
async def test_an_open_after_a_refusal_needs_no_check_where_the_list_has_no_addresses():
    world, people = SessionWorld(bare_records=True), AddressList()
    engine = engine_of(world, people.rules, states_per_call=1)
    row = world.add(State.OPEN)
    end_before_the_message(world, engine)
    found = await engine.until_final(row)
    assert found.status is Status.OPENED
    assert [r.step for r in engine.platform.requests] == [CHECK, NOTIFY, LINK]
