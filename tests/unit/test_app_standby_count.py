"""A leader counts the standbys, once there was one."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace

from dispatcher.app.leadership import Leadership
from dispatcher.app.standby_count import LOOK_SECONDS, StandbyCounter
from dispatcher.domain.events import StandbysCounted
from dispatcher.ports import HeldLease, Lease, LeaseKind, LedgerError
from tests.support.scripted import EventList
from tests.support.virtual import in_virtual_time

HELD = HeldLease(Lease(LeaseKind.CAMPAIGN, "cart"), "one", "machine-1", 1_790_000_000.0, 7.0)


class Store:
    """A store that has these counts one after the other, and then fails."""

    def __init__(self, *counts):
        self._counts = list(counts)

    async def look(self, _question):
        if not self._counts:
            raise LedgerError("it is closed")
        return self._counts.pop(0)


class Log:
    def info(self, *_, **__):
        """Log nothing."""


async def counted(*counts, waited=False, leads=True):
    telemetry = SimpleNamespace(shared_sink=EventList())
    leadership = Leadership(Log())
    if waited:
        leadership.note_waiting([HELD])
        leadership.note_leading()
    ledger = SimpleNamespace(store=Store(*counts), leads=leads)
    async with AsyncExitStack() as stack:
        StandbyCounter(ledger, leadership, telemetry).start(stack)
        await asyncio.sleep((len(counts) + 1) * LOOK_SECONDS)
    return [event.count for event in telemetry.shared_sink.of_type(StandbysCounted)]


@in_virtual_time
async def test_who_is_alone_from_the_beginning_has_none_to_lose():
    """No gauge is sent, so no alarm says that a standby is gone."""
    assert await counted(0, 0) == []


@in_virtual_time
async def test_from_the_first_standby_on_they_are_counted():
    assert await counted(0, 1, 0, 2) == [1, 0, 2]


@in_virtual_time
async def test_who_has_taken_over_is_missed_as_the_standby_that_it_was():
    assert await counted(0, 0, waited=True) == [0, 0]


@in_virtual_time
async def test_only_a_leader_counts():
    assert await counted(1, leads=False) == []
