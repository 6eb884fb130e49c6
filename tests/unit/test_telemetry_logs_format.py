"""How a log line is made."""

import datetime as dt
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.status import Status
from dispatcher.telemetry.logs.format import (
    MOST_WORDS,
    REDACTED,
    FieldOrder,
    redact,
    render_json,
    words,
)


def line(**fields):
    return orjson.loads(rendered(redact(None, "info", fields)))


def rendered(fields):
    return render_json(None, "info", FieldOrder({})(None, "info", fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"authorization": "hush-1"},
        {"client_secret": "hush-1", "access_token": "hush-1", "text": "hush-1"},
        {"address": "hush-1"},
        {"headers": {"Authorization": "hush-1", "Set-Cookie": "hush-1"}},
        {"request": [{"body": {"x": "hush-1"}}]},
        {"deep": {"from": ({"toAddress": "hush-1", "textBody": "hush-1"},)}},
    ],
)
def test_what_is_secret_is_taken_out(fields):
    """A value under a key that says it is secret never gets into a line, however deep."""
    text = orjson.dumps(line(event="x", **fields)).decode()
    assert "hush-1" not in text
    assert REDACTED in text


def test_what_is_not_secret_stays():
    """Other values stay as they are, enums as their words, what JSON lacks as text."""
    got = line(event="x", status=Status.PARKED, many=[1, {"a": None}], odd={1: 2}, tz=dt.UTC)
    assert (got["status"], got["many"], got["odd"], got["tz"]) == (
        "parked",
        [1, {"a": None}],
        {"1": 2},
        "UTC",
    )


def test_the_time_is_utc_to_the_millisecond():
    """The time is the present one, in ISO 8601."""
    before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=2)
    time = line(event="x")["time"]
    assert before <= dt.datetime.fromisoformat(time) <= dt.datetime.now(dt.UTC)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)


def test_time_level_and_event_come_first():
    """A person who reads the lines finds them at the same place; other fields keep their order."""
    assert list(line(b=1, event="x", a=2)) == ["time", "level", "event", "b", "a"]


@given(st.text())
def test_words_are_one_short_line(text):
    """A foreign text becomes one line of at most 200 characters."""
    text_logged = words(text)
    assert len(text_logged) <= MOST_WORDS
    assert len(text_logged.splitlines()) <= 1
    assert "\x1b" not in text_logged


@pytest.mark.parametrize("text", ["Bearer abc.def-123", "bad header: basic Zm9vOmJhcg=="])
def test_words_hold_no_credential(text):
    """A platform that quotes the Authorization header does not get it into the log."""
    text_logged = words(text)
    assert REDACTED in text_logged
    assert text.split()[-1] not in text_logged


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.binary() | st.none()))
def test_any_fields_make_one_line_of_json(fields):
    """Whatever the fields are, a line is one line, and it parses."""
    data = rendered({"event": "x", **{f"k{k}": v for k, v in fields.items()}})
    assert data.count(b"\n") == 1
    assert orjson.loads(data)["event"] == "x"


def test_the_service_is_in_each_line_behind_its_fields():
    """The tags that join log lines with metrics; no field of a line can replace them."""
    order = FieldOrder({"service": "outreach", "version": "1.2"})
    fields = order(None, "info", {"event": "e", "number": 1, "service": "other"})
    assert fields.pop("time")
    assert fields == {
        "level": "info", "event": "e", "number": 1, "service": "outreach", "version": "1.2",
    }  # fmt: skip
