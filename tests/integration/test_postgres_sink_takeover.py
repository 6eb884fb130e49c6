"""One run at a time sends to a sink, although several have it: those of different campaigns."""

import asyncio
from contextlib import closing

import pytest

from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.operator_lineage import operator_lineage_log
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports.sink import SinkError
from dispatcher.sinks.pump import LineagePump, PumpOptions
from dispatcher.sinks.ranges import RangeSender
from tests.integration.test_sinks_of_adopted_ledgers import deliver
from tests.support.servers.shared import on

pytestmark = on("postgres_server")


ROWS = 20


class Target:
    """Keeps ranges, and how many are written at the same time."""

    def __init__(self):
        self.ranges, self.writing, self.most = [], 0, 0
        self.has_all = asyncio.Event()

    async def write(self, lineage):
        self.writing += 1
        self.most = max(self.most, self.writing)
        await asyncio.sleep(0.002)
        self.ranges.append(lineage)
        self.writing -= 1
        if len(self.keys()) >= ROWS:
            self.has_all.set()

    async def close(self):
        pass

    def keys(self):
        return [row.contact_key for lineage in self.ranges for row in lineage.rows]


@pytest.fixture
async def address(ledger_databases):
    """A ledger with rows that no sink has got."""
    address = ledger_databases.create()
    store = await PostgresStore.open(address)
    await deliver(store, *range(ROWS))
    await store.close()
    yield address
    ledger_databases.drop(address)


@pytest.fixture
async def runs(address):
    stores = [await PostgresStore.open(address, name=name) for name in ("one", "two")]
    yield stores
    for store in stores:
        await store.close()


def sender_of(store, target):
    return RangeSender("out", store.lineage_log(), target, (), 5)


def let_leases_run_out(address):
    with closing(connect(address)) as connection:
        connection.execute("UPDATE dispatcher.daemon SET lease_until = clock_timestamp()")


async def test_two_runs_send_each_range_once_and_never_at_a_time(runs):
    """Both have the sink in their settings, and look as often as they can."""
    target = Target()
    pumps = [
        LineagePump("out", store.lineage_log(), target, PumpOptions((), 0.001, 3)) for store in runs
    ]
    for pump in pumps:
        pump.start()
    async with asyncio.timeout(20):
        await target.has_all.wait()
    assert all([await pump.end(5) for pump in pumps])
    assert sorted(target.keys()) == sorted(f"key-{number}" for number in range(ROWS))
    assert target.most == 1


async def test_who_ends_gives_its_sinks_back(runs):
    """At once; the next one goes on where it ended."""
    target, (one, two) = Target(), runs
    assert await sender_of(one, target).send_next("rows")
    waiting = sender_of(two, target)
    for part in ("rows", "verdicts"):
        assert await waiting.send_next(part) is None
    assert waiting.sender.startswith("one on ")
    assert await waiting.lag() == 15
    await one.close()
    assert (await waiting.send_next("rows")).first == target.ranges[0].last
    assert waiting.sender == ""


async def test_who_does_not_renew_its_lease_loses_its_sinks(address, runs):
    """Its range goes out again from the other run, and is not recorded by it any more."""
    (one, two), target = runs, Target()
    log = one.lineage_log()
    place = await log.sink_place("out", "rows")
    ((last, _),) = await log.lineage_after("rows", place.cursor, 1)
    await log.begin_range("out", "rows", last)
    let_leases_run_out(address)
    taken = await sender_of(two, target).send_next("rows")
    assert (taken.first, taken.last, taken.token) == (place.cursor, last, place.token)
    for change in (log.begin_range, log.end_range):
        with pytest.raises(SinkError, match="another run has taken it over"):
            await change("out", "rows", last)
    assert await sender_of(one, target).send_next("rows") is None
    assert (await log.sink_place("out", "rows")).cursor == last


async def test_an_export_of_a_person_does_not_send_beside_a_run(address):
    """Also if the run has none of the campaigns that the ledger has."""
    store = await PostgresStore.open(address, name="one")
    await sender_of(store, Target()).send_next("rows")
    async with operator_lineage_log(address) as log:
        sender = RangeSender("out", log, Target(), (), 5)
        assert await sender.send_next("rows") is None
        assert sender.sender.startswith("one on ")
    await store.close()


async def test_different_sinks_have_different_runs(runs):
    """A sink is no lease of a run: each of them may have some."""
    one, two = runs
    first = RangeSender("first", one.lineage_log(), Target())
    second = RangeSender("second", two.lineage_log(), Target())
    assert await first.send_next("rows")
    assert await second.send_next("rows")
    assert (await one.lineage_log().sink_place("second", "rows")).sender.startswith("two on ")
