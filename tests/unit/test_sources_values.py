"""Cells that mean no value, numbers that are not what they were, and ids in another case."""

import pytest

from dispatcher.domain.status import Irregularity
from dispatcher.sources.options import NULL_VALUES, RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.row_errors import InvalidRowError

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ROW = {
    "conversation_id": "c1",
    "contact_key": "k1",
    "external_contact_id": "x1",
    "address": "a@example.com",
    "expires_at": "2026-11-22",
    "not_before": "2026-11-22",
    "name": "Ada",
}
IDS = ("conversation_id", "contact_key", "external_contact_id", "address")


def build(changes, **rules):
    builder = ContactBuilder(RowRules(**{"text": "Hello {name}", **rules}))
    return builder.build({**ROW, **changes}), builder.irregularities[Irregularity.NULL_MARKER]


def refusal(changes, **rules):
    with pytest.raises(InvalidRowError) as caught:
        build(changes, **rules)
    return caught.value.reason


@pytest.mark.parametrize("null", NULL_VALUES)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper, " {} ".format])
def test_a_null_marker_is_an_empty_cell(null, spell):
    """In every column with a meaning, in any case; the key is then the conversation id."""
    null = spell(null)
    columns = ("contact_key", "external_contact_id", "address", "expires_at", "not_before")
    contact, count = build(dict.fromkeys(columns, null))
    assert (contact.key, contact.external_contact_id, contact.address) == ("c1", None, None)
    assert (contact.expires_at, contact.not_before, count) == (None, None, 5)
    assert refusal({"conversation_id": null}) == "no_id"
    assert refusal({"name": null}) == "null_marker"


def test_a_null_marker_as_the_text():
    """It is not a message: the template is used, or there is none."""
    columns = {"text": "text", "subject": "subject"}
    contact, count = build({"text": "NULL", "subject": r"\N"}, subject="Cart", columns=columns)
    assert (contact.text, contact.subject, count) == ("Hello Ada", "Cart", 2)
    assert refusal({"text": "NULL"}, text=None) == "no_text"


def test_a_null_marker_elsewhere_is_data():
    """Nobody uses the column; a column that a rule uses is emptied."""
    contact, count = build({"note": "NULL", "tz": "NULL"}, named=("tz",))
    assert (contact.attributes, count) == ({"name": "Ada", "note": "NULL"}, 1)


def test_null_values_are_a_setting():
    """A name that is like one is permitted by a shorter list."""
    contact, _ = build({"name": "Null", "contact_key": "none"}, null_values=["none"])
    assert (contact.text, contact.key) == ("Hello Null", "c1")
    contact, _ = build({"expires_at": "9999-12-31"}, null_values=["9999-12-31"])
    assert contact.expires_at is None
    contact, _ = build({"contact_key": UUID}, null_values=[UUID.upper()])
    assert contact.key == "c1"
    contact, _ = build({"contact_key": "NULL"}, null_values=[])
    assert contact.key == "NULL"


@pytest.mark.parametrize(
    "number",
    [
        "4.91701E+11",
        "4,91701E+11",
        "4.91701e+11",
        "1E+15",
        "1.2345678901234E12",
        "491701234567.0",
        "1234567890123450",
        "123456789012345000000",
        "+123456789012345000",
    ],
)
@pytest.mark.parametrize("column", IDS)
def test_a_mangled_number_is_rejected(column, number):
    """It may be another person's; the setting accepts numbers that only look so."""
    assert refusal({column: number}) == "mangled_number"
    if number[0] != "+" and "," not in number:
        build({column: number}, mangled_numbers="accept")


@pytest.mark.parametrize(
    "value",
    ["491701234567", "1234567890123456", "+49 170 1234567", "1e5", "12e45", "7", "1.2.3", UUID,
     "2026-11", "0170.1234"],
)  # fmt: skip
@pytest.mark.parametrize("column", ["contact_key", "address"])
def test_a_number_that_is_whole_is_taken(column, value):
    """So are ids that only resemble a number in scientific notation."""
    if " " not in value or column == "address":
        build({column: value})


def test_long_numbers_that_keep_their_digits_prove_the_column():
    """A number of 16 digits may end in 0 by chance; a longer tail of zeros is no chance."""
    builder = ContactBuilder(RowRules(text="Hello"))
    builder.build({"conversation_id": "c1", "contact_key": "1234567890123456"})
    builder.build({"conversation_id": "c1", "contact_key": "1234567890123450"})
    with pytest.raises(InvalidRowError):
        builder.build({"conversation_id": "c1", "contact_key": "123456789012345000"})
    with pytest.raises(InvalidRowError):
        builder.build({"conversation_id": "1234567890123450"})


@pytest.mark.parametrize("column", ["conversation_id", "contact_key", "external_contact_id"])
@pytest.mark.parametrize("spelled", [UUID.upper(), UUID.swapcase(), f" {UUID.title()} ", UUID])
def test_a_uuid_is_the_same_id_in_any_case(column, spelled):
    """Other ids keep their case."""
    field = {"contact_key": "key"}.get(column, column)
    assert getattr(build({column: spelled})[0], field) == UUID
    assert getattr(build({column: "Ab-C"})[0], field) == "Ab-C"


@pytest.mark.parametrize("value", ["---", "########", "~~~", "@", ":--:", "=", "..."])
@pytest.mark.parametrize("column", ["conversation_id", "contact_key", "external_contact_id"])
def test_signs_alone_are_no_id(column, value):
    """They are the frame of a table, or a column of a spreadsheet that was too narrow."""
    assert refusal({column: value}) == "bad_id"


@pytest.mark.parametrize("column", ["expires_at", "not_before"])
@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test_a_date_of_postgresql_without_end_is_no_empty_cell(column, value):
    """Otherwise a contact of a time that never comes would get its message at once."""
    assert refusal({column: value}) == "bad_date"
