"""Quiet hours, by the clocks of three zones that change them in different ways."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.quiet_hours import QuietHours

BERLIN, NEW_YORK, LORD_HOWE, APIA = (
    ZoneInfo(name)
    for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
)
NIGHT = QuietHours.parse("21:00-08:00")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def read(moment):
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(" ", "minutes")


def quiet(window, zone, moment):
    """When the quiet time around a moment begins and ends, in UTC; None if it is loud."""
    span = QuietHours.parse(window).period_at(utc(moment), zone)
    return (read(span.begin), read(span.end)) if span.quiet else None


@pytest.mark.parametrize(
    ("zone", "moment", "bounds"),
    [
        (BERLIN, "2026-03-29 02:00", ("2026-03-28 20:00", "2026-03-29 06:00")),
        (BERLIN, "2026-10-25 02:00", ("2026-10-24 19:00", "2026-10-25 07:00")),
        (NEW_YORK, "2026-03-08 08:00", ("2026-03-08 02:00", "2026-03-08 12:00")),
        (NEW_YORK, "2026-11-01 08:00", ("2026-11-01 01:00", "2026-11-01 13:00")),
        (LORD_HOWE, "2026-10-03 16:00", ("2026-10-03 10:30", "2026-10-03 21:00")),
        (LORD_HOWE, "2026-04-04 16:00", ("2026-04-04 10:00", "2026-04-04 21:30")),
    ],
)
def test_a_night_is_as_long_as_the_clocks_make_it(zone, moment, bounds):
    """An hour (on Lord Howe half an hour) shorter in spring, longer in autumn."""
    assert quiet("21:00-08:00", zone, moment) == bounds


@pytest.mark.parametrize(
    ("zone", "window", "moment", "bounds"),
    [
        # spring: 02:00 to 03:00 (on Lord Howe to 02:30) is leapt over
        (BERLIN, "22:00-02:30", "2026-03-29 00:30", ("2026-03-28 21:00", "2026-03-29 01:00")),
        (BERLIN, "02:30-05:00", "2026-03-29 01:00", ("2026-03-29 01:00", "2026-03-29 03:00")),
        (NEW_YORK, "22:00-02:30", "2026-03-08 06:30", ("2026-03-08 03:00", "2026-03-08 07:00")),
        (LORD_HOWE, "22:00-02:15", "2026-10-03 15:00", ("2026-10-03 11:30", "2026-10-03 15:30")),
        # autumn: 02:00 to 03:00 (in New York 01:00 to 02:00) comes twice
        (BERLIN, "22:00-02:30", "2026-10-25 01:15", ("2026-10-24 20:00", "2026-10-25 01:30")),
        (BERLIN, "02:30-05:00", "2026-10-25 01:15", ("2026-10-25 00:30", "2026-10-25 04:00")),
        (NEW_YORK, "22:00-01:30", "2026-11-01 06:15", ("2026-11-01 02:00", "2026-11-01 06:30")),
        (LORD_HOWE, "22:00-01:45", "2026-04-04 15:00", ("2026-04-04 11:00", "2026-04-04 15:15")),
    ],
)
def test_a_bound_inside_of_the_change(zone, window, moment, bounds):
    """What the clock leaps over is taken at the leap; what it shows twice is quiet throughout."""
    assert quiet(window, zone, moment) == bounds


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        (BERLIN, "2026-03-29 06:00"),  # 08:00, an hour earlier than the day before
        (BERLIN, "2026-03-28 19:59"),
        (BERLIN, "2026-10-25 07:00"),
        (LORD_HOWE, "2026-04-04 21:30"),
        (NEW_YORK, "2026-11-01 13:00"),
    ],
)
def test_the_day_begins_on_time(zone, moment):
    """The end is no longer quiet, nor is the last minute before the beginning."""
    assert quiet("21:00-08:00", zone, moment) is None


def test_a_window_within_a_day_and_one_up_to_midnight():
    """A window need not go over midnight."""
    noon = ("2026-06-01 10:00", "2026-06-01 11:30")
    assert quiet("12:00-13:30", BERLIN, "2026-06-01 10:00") == noon
    assert quiet("12:00-13:30", BERLIN, "2026-06-01 11:30") is None
    late = ("2026-06-01 20:00", "2026-06-01 22:00")
    assert quiet("22:00-00:00", BERLIN, "2026-06-01 21:59") == late
    assert quiet("22:00-00:00", BERLIN, "2026-06-01 22:00") is None


def test_a_day_that_a_zone_left_out():
    """Samoa had no 30 December 2011: the night over it ends no later than any other."""
    _, end = quiet("21:00-08:00", APIA, "2011-12-30 12:00")
    assert end == "2011-12-30 18:00"


@pytest.mark.parametrize("text", ["21-8", "21:00 - 08:00", "08:00-08:00", "x"])
def test_what_is_no_window(text):
    """A window is written in one way, and has a length."""
    with pytest.raises(ValueError, match=r"window|begins"):
        QuietHours.parse(text)


@given(
    moment=st.integers(1_700_000_000, 1_900_000_000),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]),
)
def test_spans_follow_each_other_without_a_gap(moment, zone):
    """Where a quiet span ends a loud one begins, by the same bound; and the wall clock agrees."""
    span = NIGHT.period_at(moment, zone)
    after = NIGHT.period_at(span.end, zone)
    assert span.begin <= moment < span.end == after.begin
    assert after.quiet is not span.quiet
    hour = datetime.fromtimestamp(moment, zone).hour
    assert span.quiet is (hour >= 21 or hour < 8)
    assert timedelta(hours=9) < timedelta(seconds=span.end - span.begin) < timedelta(hours=14)


# days of the week, several windows, holidays; 2026-11-28 is a Saturday


WEEK = "mon-fri 20:00-09:00; sat,sun"


@pytest.mark.parametrize(
    ("window", "moment", "bounds"),
    [
        ("sat,sun", "2026-11-28 12:00", ("2026-11-27 23:00", "2026-11-29 23:00")),
        ("sat-sun", "2026-11-27 22:30", None),
        ("Saturday", "2026-11-29 12:00", None),
        (WEEK, "2026-11-27 20:00", ("2026-11-27 19:00", "2026-11-29 23:00")),
        (WEEK, "2026-11-30 07:00", None),
        ("fri-mon 20:00-24:00", "2026-11-30 20:00", ("2026-11-30 19:00", "2026-11-30 23:00")),
        ("fri-mon 20:00-24:00", "2026-12-01 20:00", None),
        ("00:00-08:00;21:00-24:00", "2026-11-28 22:00", ("2026-11-28 20:00", "2026-11-29 07:00")),
        ("fri 21:00-08:00", "2026-11-28 06:00", ("2026-11-27 20:00", "2026-11-28 07:00")),
    ],
)  # fmt: skip
def test_days_of_the_week_and_several_windows(window, moment, bounds):
    """A window belongs to the day on which it begins; windows that touch are one quiet time."""
    found = quiet(window, BERLIN, moment)
    assert (found and found[1]) == (bounds and bounds[1])


@pytest.mark.parametrize("holiday", ["2026-12-25", "12-25"])
def test_a_holiday_is_quiet_as_a_whole(holiday):
    """By the contact's own calendar; the nights before and after join it."""
    hours = QuietHours.parse("21:00-08:00", [holiday])
    span = hours.period_at(utc("2026-12-24 22:00"), BERLIN)
    assert (span.quiet, read(span.end)) == (True, "2026-12-26 07:00")
    assert not hours.period_at(utc("2026-12-26 12:00"), BERLIN).quiet
    next_year = hours.period_at(utc("2027-12-25 12:00"), BERLIN)
    assert next_year.quiet is (holiday == "12-25")
    alone = QuietHours.parse("", [holiday])
    assert alone.period_at(utc("2026-12-25 03:00"), NEW_YORK).quiet is False
    assert alone.period_at(utc("2026-12-25 06:00"), NEW_YORK).quiet


@pytest.mark.parametrize(
    "text",
    ["mon-sun", "08:00-20:00;20:00-08:00", "xday", "mo", "sat 21:00", ";", "1-5 21:00-08:00"],
)  # fmt: skip
def test_windows_that_are_wrong_or_leave_no_time(text):
    """A week must have a minute in which a message may be sent."""
    with pytest.raises(ValueError, match=r"must be a window|leaves no time"):
        QuietHours.parse(text)


@pytest.mark.parametrize("text", ["25.12.2026", "2026-02-30", "13-01", "", "2026-12"])
def test_what_is_no_holiday(text):
    """Each is an error with an example."""
    with pytest.raises(ValueError, match="2026-12-25"):
        QuietHours.parse("", [text])


@given(
    st.sets(st.integers(0, 6), min_size=1, max_size=5),
    st.sampled_from([BERLIN, LORD_HOWE, APIA]),
    st.integers(int(utc("2026-01-01 00:00")), int(utc("2027-01-01 00:00"))),
)
def test_a_period_is_what_each_of_its_moments_says(days, zone, moment):
    """Its end is in another period, and no moment inside is."""
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    hours = QuietHours.parse(",".join(names[day] for day in days) + " 18:00-10:00")
    period = hours.period_at(moment, zone)
    assert period.begin <= moment < period.end
    local = datetime.fromtimestamp(moment, zone)
    evening, morning = local.hour >= 18, local.hour < 10
    before = (local.weekday() - 1) % 7
    assert period.quiet is ((evening and local.weekday() in days) or (morning and before in days))
    if period.quiet:
        assert not hours.period_at(period.end, zone).quiet
