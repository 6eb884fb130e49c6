"""When a run makes no progress although work is due: the rule, and its clock."""

from dataclasses import replace

import pytest

from dispatcher.domain.condition import Cause
from dispatcher.domain.condition_facts import (
    Facts,
    HaltFact,
    PlatformFacts,
    QuotaPressure,
    RowCounts,
    Standstill,
)
from dispatcher.domain.condition_judgement import judge
from dispatcher.domain.condition_standstill import STANDSTILL_SECONDS
from dispatcher.domain.events import LedgerState, QuotaUse
from dispatcher.domain.status import HaltReason
from dispatcher.telemetry.condition.standstill import LONGEST_PAUSE, StandstillClock

STILL = Facts(standstill=Standstill(640.0, 1_000_000_000.0), oldest_due=640.0, in_flight=3)
HALT = HaltFact(HaltReason.SCOPE, 2.0)
SHARED = QuotaPressure(QuotaUse(300.0, 60.0, 240.0), 640.0)
BAD_ROWS = RowCounts(20, 20, {"no_id": 20})


def named(**changes):
    return [finding.cause for finding in judge(replace(STILL, **changes)).findings]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"oldest_due": 0.0},
        {"in_flight": 0},
        {"in_flight": 0, "oldest_due": 0.0, "contacts": {("in_flight", "claimed"): 4}},
        {"in_flight": 0, "contacts": {("ready", "due"): 40}},
        {"window_seconds": 320.0},
        {"held": 2},
    ],
)
def test_due_or_in_flight_and_nothing_moves(changes):
    """A worker has it, the feeder has it, or nobody has."""
    assert named(**changes) == [Cause.NO_PROGRESS]


@pytest.mark.parametrize(
    "changes",
    [
        {"standstill": Standstill(STANDSTILL_SECONDS - 0.1)},
        {"window_seconds": 321.0},
        {"timeout_seconds": 321.0},
        {"in_flight": 0, "oldest_due": 0.0, "contacts": {("waiting", "not_ended"): 9}},
        {"in_flight": 0, "oldest_due": 0.0, "contacts": {("in_doubt", "look_back"): 9}},
        {"oldest_due": 0.0, "held": 3},
        {"draining": True},
        {"platform": PlatformFacts(halts=(HALT,))},
        {"halts": (HaltFact(HaltReason.PAUSED, 1.0),)},
        {"pressures": (SHARED,)},
        {"list_kept": True},
        {"ledger": LedgerState(2**20, 2**20)},
    ],
)
def test_what_is_no_standstill(changes):
    """Time, a halt, a drain, a contact that waits for its time or for others, another cause."""
    assert Cause.NO_PROGRESS not in named(**changes)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"rows": BAD_ROWS}, Cause.ROWS_REJECTED),
        ({"settled": 20, "parked": {"engaged": 20}}, Cause.CONTACTS_PARKED),
        ({"contacts": {("in_doubt", "look_back"): 20}}, Cause.DOUBTS_PENDING),
        ({"dropped": 1}, Cause.TELEMETRY_LOSSY),
    ],
)
def test_what_concerns_other_contacts_explains_no_standstill(changes, cause):
    """It is named after it: an agent that is lost for days hides no run that does nothing."""
    assert named(**changes) == [Cause.NO_PROGRESS, cause]


@pytest.mark.parametrize(
    ("changes", "waits_for"),
    [
        ({}, "a permit, a token, an answer or a commit for 3 contacts in flight"),
        ({"in_flight": 0}, "nothing that it knows of: contacts are due, and no worker has one"),
    ],
)
def test_the_evidence(changes, waits_for):
    """Since when, how many are due, and what the run waits for."""
    contacts = {("ready", "due"): 40}
    finding = judge(replace(STILL, contacts=contacts, **changes)).primary
    assert finding.evidence["waits_for"].startswith(waits_for)
    assert finding.evidence["still_since"] == "2001-09-09T01:46:40Z"
    assert finding.evidence["due"] == 40 + finding.evidence["in_flight"]
    assert "since 2001-09-09T01:46:40Z (11 minutes)" in finding.words


def test_the_clock_measures_from_what_moved_last():
    """An answer, a contact, or an evaluation with nothing to do."""
    clock = StandstillClock(0.0)
    assert clock.take(50.0, 1050.0, 0.0, moves=False) == Standstill(50.0, 1000.0)
    assert clock.take(60.0, 1060.0, 58.0, moves=False) == Standstill(2.0, 1058.0)
    assert clock.take(70.0, 1070.0, 58.0, moves=False) == Standstill(12.0, 1058.0)
    assert clock.take(80.0, 1080.0, 58.0, moves=True) == Standstill(0.0, 1080.0)
    assert clock.take(90.0, 1090.0, 58.0, moves=False) == Standstill(10.0, 1080.0)


def test_a_process_that_was_stopped_itself_begins_again():
    """A machine that sleeps for an hour is no standstill of a run."""
    clock = StandstillClock(0.0)
    assert clock.take(LONGEST_PAUSE, 0.0, 0.0, moves=False).seconds == LONGEST_PAUSE
    assert clock.take(4000.0, 0.0, 0.0, moves=False).seconds == 0.0
