"""A run waits at its start for the server of its ledger, and reports whether it leads."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
import structlog
from structlog.testing import capture_logs

from dispatcher.app import ledger_presence
from dispatcher.app.leadership import Leadership
from dispatcher.app.ledger_presence import (
    ONCE_SECONDS,
    REMIND_SECONDS,
    STATE_SECONDS,
    LedgerPresence,
)
from dispatcher.domain.events import LeaderState
from dispatcher.ports import HeldLease, Lease, LeaseKind, LedgerAwayError, LedgerError
from dispatcher.settings.ledger import LedgerSettings
from tests.support.scripted import EventList
from tests.support.virtual import in_virtual_time

AWAY = "ledger postgresql://run@db/ledger: the server does not answer (starting up)"
HELD = HeldLease(Lease(LeaseKind.CAMPAIGN, "cart"), "one", "machine-1", 1_790_000_000.0, 7.0)


@dataclass
class Telemetry:
    shared_sink: EventList = field(default_factory=EventList)
    begun: int = 0

    def begin_standby(self):
        self.begun += 1


class Store:
    """A store whose leases end in ``seconds``."""

    def __init__(self, seconds=9.0):
        self.away_since, self.tenure, self.seconds = None, self, seconds
        self.away_reason = ""

    def remaining_seconds(self):
        return self.seconds


class Opening:
    """Fails so many times, and then returns a store."""

    def __init__(self, times, error=None):
        self.left, self.error, self.store = times, error or LedgerAwayError(AWAY), Store()

    async def __call__(self):
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return self.store


def presence():
    log = structlog.get_logger()
    return LedgerPresence(Leadership(log), Telemetry(), log)


@pytest.fixture(autouse=True)
def wall_clock(monkeypatch):
    """The time of day passes as that of the event loop."""

    class Clock:
        gmtime, strftime = ledger_presence.time.gmtime, ledger_presence.time.strftime

        @staticmethod
        def time():
            return 1_790_000_000.0 + asyncio.get_running_loop().time()

    monkeypatch.setattr(ledger_presence, "time", Clock)


@in_virtual_time
async def test_a_server_that_answers_is_not_waited_for():
    """No line and no gauge tells of a wait."""
    one, opening = presence(), Opening(0)
    with capture_logs() as lines:
        assert await one.open(opening, LedgerSettings(), once=False) is opening.store
    assert (lines, one._telemetry.begun, one.away_since) == ([], 0, None)


@in_virtual_time
async def test_a_run_waits_for_its_server_and_says_so():
    """Once, with what the server said, and every minute again; gauges go out meanwhile."""
    one, opening = presence(), Opening(100)
    with capture_logs() as lines:
        async with AsyncExitStack() as stack:
            one.report(stack)
            assert await one.open(opening, LedgerSettings(), once=False) is opening.store
            await asyncio.sleep(STATE_SECONDS)
    passed = asyncio.get_running_loop().time()
    away, back = lines[:-1], lines[-1]
    assert len(away) == 1 + passed // REMIND_SECONDS
    assert {(line["event"], line["log_level"], line["detail"]) for line in away} == {
        ("ledger.away", "warning", AWAY)
    }
    assert away[1]["away_seconds"] >= REMIND_SECONDS
    assert back["event"] == "ledger.back"
    states = one._telemetry.shared_sink.of_type(LeaderState)
    assert not any(state.leading or state.is_standby for state in states)
    assert max(state.away for state in states) > REMIND_SECONDS
    assert states[-1].away == 0
    assert one._telemetry.begun == 1


@in_virtual_time
@pytest.mark.parametrize(
    ("once", "minutes", "seconds"),
    [(False, 60.0, 3600.0), (True, 60.0, ONCE_SECONDS), (True, 0.5, 30.0), (False, 0.5, 30.0)],
)
async def test_the_wait_has_an_end(once, minutes, seconds):
    """That of a run with an end comes sooner: whoever started it looks at its exit code."""
    one = presence()
    with pytest.raises(LedgerError) as error:
        await one.open(Opening(10_000), LedgerSettings(away_minutes=minutes), once=once)
    assert asyncio.get_running_loop().time() == pytest.approx(seconds)
    assert str(error.value).startswith(AWAY)
    assert f"waited for {seconds / 60:.1f} minutes, and has sent nothing" in str(error.value)
    assert not isinstance(error.value, LedgerAwayError)


@in_virtual_time
async def test_what_no_wait_cures_ends_the_start_at_once():
    refused = LedgerError("the server refuses the login")
    with pytest.raises(LedgerError, match="refuses the login"):
        await presence().open(Opening(9, refused), LedgerSettings(), once=False)
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_it_is_reported_who_leads_and_how_long_the_ledger_is_away():
    """The log has the beginning and the end of an absence, each once."""
    one = presence()
    store = one.store = Store()
    one._leadership.held = (HELD,)
    with capture_logs() as lines:
        async with AsyncExitStack() as stack:
            one.report(stack)
            await asyncio.sleep(STATE_SECONDS / 2)
            store.away_since = ledger_presence.time.time() - 20.0
            store.away_reason = "the server does not answer"
            await asyncio.sleep(2 * STATE_SECONDS)
            store.away_since = None
            one._leadership.note_leading()
            await asyncio.sleep(STATE_SECONDS)
    states = one._telemetry.shared_sink.of_type(LeaderState)
    assert [state.leading for state in states] == [False, False, False, True]
    assert [state.is_standby for state in states] == [True, True, True, False]
    assert [state.away > 0 for state in states] == [False, True, True, False]
    assert [line["event"] for line in lines] == ["ledger.away", "ledger.back"]
    assert lines[0]["detail"] == "the server does not answer"


@in_virtual_time
async def test_a_leader_whose_leases_may_have_run_out_does_not_lead():
    """The gauge must not say so while another run may have taken over."""
    one = presence()
    store = one.store = Store()
    one._leadership.note_leading()
    async with AsyncExitStack() as stack:
        one.report(stack)
        await asyncio.sleep(STATE_SECONDS / 2)
        store.away_since, store.seconds = ledger_presence.time.time(), 0.0
        await asyncio.sleep(STATE_SECONDS)
        store.away_since, store.seconds = None, 9.0
        await asyncio.sleep(STATE_SECONDS)
    states = one._telemetry.shared_sink.of_type(LeaderState)
    assert [(state.leading, state.is_standby) for state in states] == [
        (True, False), (False, False), (True, False),
    ]  # fmt: skip
