"""Dates of the input."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sources.rows.dates import DateParser, check_date_format

TEN = datetime(2030, 11, 22, 10, tzinfo=UTC).timestamp()
HOUR = 3600


def after_epoch(count):
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=count)


def seconds(value, custom=None, zone=UTC):
    return DateParser(zone, custom).seconds(value)


@pytest.mark.parametrize(
    "value",
    [
        "2030-11-22 10:00:00.000 Z",  # Snowflake, TIMESTAMP_TZ in UTC
        "2030-11-22 10:00:00.000 +0000",  # Snowflake, TIMESTAMP_LTZ
        "2030-11-22 11:00:00.000 +0100",
        "2030-11-22 02:00:00.000 -0800",
        "2030-11-22 10:00:00.000",  # Snowflake, TIMESTAMP_NTZ
        "2030-11-22 11:00:00.000000000 +0100",  # FF9
        "2030-11-22 10:00:00+00",  # Redshift and PostgreSQL
        "2030-11-22 15:30:00.000000+05:30",
        "2030-11-22 10:00:00",
        "2030-11-22 10:00:00 UTC",  # BigQuery
        "2030-11-22 10:00:00.000000 UTC",
        "2030-11-22T10:00:00",
        "2030-11-22 10:00:00+00:00",  # pandas
        "2030-11-22T10:00:00.000Z",
        "2030-11-22 11:00:00.000000000+01:00",
        "2030-11-22 11:00:00.000 Europe/Berlin",  # Trino and Athena
        "2030-11-22 10:00:00.0000000 +00:00",  # SQL Server
        "1921572000",
        "1921572000.0",
        "1921572000000",
        "1921572000000000",
        "1921572000000000000",
        "11/22/2030 10:00",  # spreadsheets, where only one reading is possible
        "11/22/2030 10:00:00 AM",
        "22.11.2030 10:00",
        "22/11/2030 10:00",
        "Fri, 22 Nov 2030 11:00:00 +0100",
        "20301122T100000Z",
        "2030-W47-5T10:00Z",
    ],
)
def test_what_programs_export_by_default(value):
    """Each is ten o'clock UTC."""
    assert seconds(value) == TEN


def test_the_zone_is_for_dates_without_an_offset_only():
    """An offset in the value comes first; epoch seconds have none and need none."""
    berlin = ZoneInfo("Europe/Berlin")
    assert seconds("2030-11-22 10:00:00", zone=berlin) == TEN - HOUR
    assert seconds("2030-11-22 10:00:00 Z", zone=berlin) == TEN
    assert seconds("1921572000", zone=berlin) == TEN
    assert seconds("2030-11-22", zone=berlin) == TEN - 11 * HOUR


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("03/04/2026", "the day or the month"),
        ("3.4.2026 10:00", "the day or the month"),
        ("11/12/2030", "the day or the month"),
        ("45983", "a number that is neither"),  # a day of a spreadsheet
        ("45983.75", "a number that is neither"),
        ("192157200", "a number that is neither"),
        ("2030112210", "a number that is neither"),  # a day and an hour
        ("2030-11-22 10:00:00 EST", "time zone"),
        ("2030-11-22 10:00:00 Mars/Base", "time zone"),
        ("2030-11-22 10:00:00+99", "offset"),
        ("2030-02-30", "does not exist"),
        ("12345678", "does not exist"),
        ("2030-11-22 24:30", "does not exist"),
        ("31.31.2030", "does not exist"),
        ("11/22/2030 13:00 PM", "does not exist"),
        ("22-Nov-30", "not a date"),
        ("11/22/30", "not a date"),
        ("2030-11", "not a date"),
        ("2030-11-22x10:00", "not a date"),
        ("2030-11-22 10:00.5", "not a date"),
        ("1.92157E+12", "not a date"),
        ("-1921572000", "not a date"),
        ("tomorrow", "not a date"),
        ("", "not a date"),
        ("\u0662\u0660\u0663\u0660-11-22", "not a date"),
    ],
)
def test_what_is_not_clear_is_an_error_without_the_value(value, words):
    """Nothing is guessed, and the message names the kind of mistake."""
    with pytest.raises(ValueError, match=words) as error:
        seconds(value)
    assert not value or value not in str(error.value)


def test_a_format_of_the_user_comes_first_and_the_usual_dates_stay():
    """It decides what would be ambiguous."""
    assert seconds("03/04/2026", "%d/%m/%Y") == datetime(2026, 4, 3, tzinfo=UTC).timestamp()
    assert seconds("2030-11-22 10:00:00 Z", "%d/%m/%Y") == TEN
    assert seconds("22-Nov-30 10", "%d-%b-%y %H") == TEN
    with pytest.raises(ValueError, match="the day or the month"):
        seconds("03/04/2026 10:00", "%d/%m/%Y")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("%H:%M", "no year"),
        ("%d %B", "no year"),
        ("no format", "no year"),
        ("%Q", "not a format"),
        ("%d %d", "not a format"),
        ("%m/%d/%Y %I:%M", "without %p"),
        ("%d.%m.%Y %H:%M %Z", "use %z"),
    ],
)
def test_a_format_that_loses_part_of_a_date_is_refused(value, words):
    """Before any row is read."""
    with pytest.raises(ValueError, match=words):
        check_date_format(value)


@given(
    st.integers(1_010_000_000_000_000, 9_780_000_000_000_000).map(after_epoch),
    st.sampled_from(["%Y-%m-%d %H:%M:%S.%f +0000", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y%m%dT%H%M%S.%f+00"]),
)
def test_a_written_date_is_read_as_the_same_moment(moment, form):
    """To the microsecond, whatever the form."""
    assert seconds(moment.strftime(form)) == moment.timestamp()


@given(st.text("0123456789-+:./TZ ,Wapm", max_size=30))
def test_no_text_ends_otherwise_than_with_a_moment_or_an_error(value):
    """A ValueError is all that comes."""
    with suppress(ValueError):
        assert isinstance(seconds(value), float)
