"""From a row's columns to a contact, or to the reason why there is none."""

from zoneinfo import ZoneInfo

import pytest

from dispatcher.domain.contact import TEXT_LIMIT, Contact
from dispatcher.sources.options import Layout, RowRules, Timing
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.row_errors import InvalidRowError


def contact(row, **rules):
    return ContactBuilder(RowRules(**{"text": "Hello", **rules})).build(dict(row))


def refusal(row, **rules):
    with pytest.raises(InvalidRowError) as caught:
        contact(row, **rules)
    return caught.value


def test_every_column_with_a_meaning():
    """All meanings land in their fields; every other column is an attribute."""
    row = {
        "conversation_id": " c1 ",
        "contact_key": " k1 ",
        "external_contact_id": " e1 ",
        "address": " a@example.com ",
        "text": " Hi ",
        "subject": "S",
        "not_before": "2026-11-22T10:00:00Z",
        "expires_at": "2026-11-23T10:00:00+01:00",
        "city": "Berlin",
    }
    assert contact(row) == Contact(
        key="k1",
        conversation_id="c1",
        text=" Hi ",
        external_contact_id="e1",
        address="a@example.com",
        subject="S",
        not_before=1795341600.0,
        expires_at=1795424400.0,
        attributes={"city": "Berlin"},
    )


def test_the_least_row():
    """The key is the conversation id where there is none; the text is the template's."""
    made = contact({"conversation_id": "c1", "name": "Ada"}, text="Hi {name}", subject="To {name}")
    assert made == Contact("c1", "c1", "Hi Ada", subject="To Ada", attributes={"name": "Ada"})


def test_mapped_columns():
    """A meaning is found under the file's name, and a placeholder may use either name."""
    made = contact(
        {"CID": "c1", "WHO": "k1", "contact_key": "an attribute"},
        columns={"conversation_id": "CID", "contact_key": "WHO"},
        text="{conversation_id} {CID}",
    )
    assert (made.conversation_id, made.key, made.text) == ("c1", "k1", "c1 c1")
    assert made.attributes == {"contact_key": "an attribute"}


def test_one_column_with_two_meanings():
    """The external contact may be the key as well."""
    made = contact(
        {"conversation_id": "c1", "cust": "7"},
        columns={"contact_key": "cust", "external_contact_id": "cust"},
    )
    assert (made.key, made.external_contact_id) == ("7", "7")


@pytest.mark.parametrize("row", [{}, {"contact_key": "k"}])
def test_no_conversation_id(row):
    """Without the one needed column there is no contact."""
    assert refusal(row).reason == "no_id"


@pytest.mark.parametrize(
    "value", ["a/b", "..", ".", "a b", "a%2fb", "a?b", "a#b", "é", "a\tb", "a\\b", "x" * 257]
)
@pytest.mark.parametrize("column", ["conversation_id", "external_contact_id"])
def test_an_id_can_never_change_the_path_of_a_url(value, column):
    """What is not a safe character is refused, and so are dots alone and long ids."""
    bad = refusal({"conversation_id": "c1", column: value})
    assert bad.reason == "bad_id"
    assert column in bad.detail
    assert value == "." or value not in bad.detail


@pytest.mark.parametrize("value", ["a b", "a\tb", "a\u2028b", "a\x00b", "a\x7fb", "k" * 257])
def test_a_key_has_no_whitespace_and_no_control_characters(value):
    """A key may be any text that is visible and of bounded length."""
    assert refusal({"conversation_id": "c1", "contact_key": value}).reason == "bad_id"
    assert contact({"conversation_id": "c1", "contact_key": "jürgen@x/7"}).key == "jürgen@x/7"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-22", 1795302000.0),
        ("20261122", 1795302000.0),
        ("2026-11-22 08:30", 1795332600.0),
        ("2026-11-22T08:30:00.5", 1795332600.5),
        ("2026-11-22T08:30:00Z", 1795336200.0),
        (" 2026-07-01T00:00 ", 1782856800.0),
    ],
)
def test_dates_without_an_offset_are_in_the_zone(value, expected):
    """ISO 8601 in its usual forms, as seconds since the epoch; summer time is obeyed."""
    made = contact({"conversation_id": "c1", "not_before": value}, zone=ZoneInfo("Europe/Berlin"))
    assert made.not_before == expected


@pytest.mark.parametrize(
    "value", ["11.12.2026", "tomorrow", "45983", "170102031234", "2026-13-01", "0000-01-01"]
)
@pytest.mark.parametrize("column", ["not_before", "expires_at"])
def test_a_bad_date(value, column):
    """What is not a date, or can be read in two ways, is refused."""
    bad = refusal({"conversation_id": "c1", column: value})
    assert (bad.reason, column in bad.detail, value in bad.detail) == ("bad_date", True, False)


def test_a_missing_placeholder_is_named():
    """The detail has the column's name and no value of the row."""
    bad = refusal({"conversation_id": "c1"}, text="Hello {first_name}")
    assert bad.reason == "missing_placeholder"
    assert "first_name" in bad.detail
    assert refusal({"conversation_id": "c1"}, subject="{x}").reason == "missing_placeholder"


def test_a_row_with_its_own_text_needs_no_placeholder():
    """The template is only for rows without a text."""
    assert contact({"conversation_id": "c1", "text": "Hi"}, text="{absent}").text == "Hi"


def test_the_length_of_the_text():
    """The limit is counted in characters; nothing is refused too."""
    row = {"conversation_id": "c1"}
    assert len(contact({**row, "text": "ü" * TEXT_LIMIT}).text) == TEXT_LIMIT
    assert refusal({**row, "text": "ü" * (TEXT_LIMIT + 1)}).reason == "text_too_long"
    assert refusal(row, text=None).reason == "no_text"
    assert refusal(row, text=" \n").reason == "no_text"


def test_the_filter_is_judged_first():
    """A row that is kept out is never rejected, whatever else is wrong with it."""
    keep = {"status": ["open", "new"]}
    assert contact({"conversation_id": "a/b", "status": "done"}, filter=keep) is None
    assert contact({"status": "done"}, filter=keep) is None
    assert contact({"conversation_id": "c1"}, filter=keep) is None
    made = contact({"conversation_id": "c1", "status": " new "}, filter=keep)
    assert made is not None


def test_a_filter_may_ask_for_an_empty_cell():
    """An empty string among the values lets rows in that lack the column."""
    assert contact({"conversation_id": "c1"}, filter={"optout": [""]}) is not None


@pytest.mark.parametrize(
    "rules",
    [
        {"columns": {"conversation": "x"}},
        {"filter": {"status": "open"}},
        {"text": "{"},
        {"subject": "{a!r}"},
    ],
)
def test_wrong_rules(rules):
    """Mistakes in the settings are raised when the rules are made, not at the first row."""
    with pytest.raises(ValueError, match=r"columns|filter|template"):
        RowRules(**rules)


@pytest.mark.parametrize(
    "layout", [{"delimiter": ""}, {"delimiter": '"'}, {"delimiter": "§"}, {"max_record_lines": 0}]
)
def test_wrong_layout(layout):
    """A delimiter is one ASCII character that is not a quote."""
    with pytest.raises(ValueError, match=r"delimiter|max_record_lines"):
        Layout(**layout)


@pytest.mark.parametrize("timing", [{"poll_seconds": 0}, {"stable_seconds": -1}])
def test_wrong_timing(timing):
    """A folder is never looked at without a pause."""
    with pytest.raises(ValueError, match="poll_seconds"):
        Timing(**timing)
