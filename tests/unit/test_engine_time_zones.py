"""Time zones by the names that exports write, and contacts whose zone is none."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatcher.domain.events import Deferred
from dispatcher.domain.quiet_hours import QuietHours
from dispatcher.domain.status import Reason, RetryReason, Status
from dispatcher.engine.campaign_rules import HOLD_SECONDS, CampaignRules
from dispatcher.engine.local_quiet_hours import LocalQuietHours, UnknownZone
from dispatcher.engine.time_zones import find_zone
from tests.support.engine import EngineFixture, contact
from tests.support.virtual import in_virtual_time

SUMMER, WINTER = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def offsets(name):
    """The zone's offset in winter and in summer, in hours."""
    zone = find_zone(name)
    return tuple(at.astimezone(zone).utcoffset() / timedelta(hours=1) for at in (WINTER, SUMMER))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Europe/Berlin", (1, 2)),
        ("europe/BERLIN", (1, 2)),
        ("America/New York", (-5, -4)),
        ("W. Europe Standard Time", (1, 2)),
        (" w. europe  standard time", (1, 2)),
        ("Eastern Standard Time", (-5, -4)),
        ("Eastern Daylight Time", (-5, -4)),
        ("AUS Eastern Standard Time", (11, 10)),
        ("India Standard Time", (5.5, 5.5)),
        ("UTC", (0, 0)),
        ("z", (0, 0)),
        ("GMT", (0, 0)),
        ("+02:00", (2, 2)),
        ("-0330", (-3.5, -3.5)),
        ("UTC+5:30", (5.5, 5.5)),
        ("GMT-5", (-5, -5)),
        ("\u22125", (-5, -5)),
        ("Etc/GMT+5", (-5, -5)),
    ],
)
def test_a_zone_may_be_written_in_many_ways(name, expected):
    """Names of the tz database and of Windows, and offsets, in any case."""
    assert offsets(name) == expected


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Base", "../etc/passwd", "/etc/localtime", "localtime", "Factory", "Berlin", "Europe",
     "leapseconds", "+25:00", "+1:75", "5", "NULL", "right/Europe/Berlin", "W. Europe", "\0"],
)  # fmt: skip
def test_what_is_no_zone_is_none(name):
    """Nothing is guessed, and no other file is read."""
    assert find_zone(name) is None


def night(unknown, reported):
    """Quiet hours in which it is day in London now, at the clock's start, and nobody else's."""
    hours = QuietHours.parse("02:00-02:01")
    return LocalQuietHours(hours, ZoneInfo("UTC"), "zone", unknown, reported.append)


@in_virtual_time
async def test_a_contact_without_a_known_zone_waits_and_is_reported_once_a_value():
    """No request is made for it; another contact's zone is known, and it is written to."""
    reported = []
    engine = EngineFixture(None, rules=CampaignRules(quiet=night(UnknownZone.HOLD, reported)))
    for number, zone in enumerate(["Mars/Base", "Mars/Base ", "Venus"]):
        row = await engine.deliver(contact(number, attributes={"zone": zone}))
        assert row.status is Status.READY
    assert not engine.platform.requests
    deferred = engine.events.of_type(Deferred)
    assert {event.reason for event in deferred} == {RetryReason.UNKNOWN_TIMEZONE}
    assert {event.seconds for event in deferred} == {HOLD_SECONDS}
    assert reported == ["Mars/Base", "Venus"]
    for number, attributes in enumerate([{"zone": "+02:00"}, {"zone": " "}, {}], 10):
        row = await engine.deliver(contact(number, attributes=attributes))
        assert row.status is Status.OPENED


@pytest.mark.parametrize(
    ("unknown", "end"),
    [
        (UnknownZone.DEFAULT, (Status.OPENED, Reason.DELIVERED)),
        (UnknownZone.REJECT, (Status.REJECTED, Reason.UNKNOWN_TIMEZONE)),
    ],
)
@in_virtual_time
async def test_the_user_decides_about_unknown_zones(unknown, end):
    """They go by the default zone, or are rejected; either way the value is reported."""
    reported = []
    engine = EngineFixture(None, rules=CampaignRules(quiet=night(unknown, reported)))
    await engine.deliver(contact(1, attributes={"zone": "Mars/Base"}))
    assert engine.ledger.end("key-1") == end
    assert reported == ["Mars/Base"]


def test_zones_are_there_on_a_machine_without_zone_files():
    """The package tzdata has them."""
    code = (
        "import zoneinfo; zoneinfo.reset_tzpath([]);"
        "from dispatcher.engine.time_zones import find_zone as find;"
        "assert find('UTC') and find('europe/berlin') and find('W. Europe Standard Time')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
