"""The settings of first calls: what is checked, what has no effect, what the run gets."""

import pytest

from dispatcher.app.wiring import make_likeness, make_row_rules
from dispatcher.settings import warnings
from dispatcher.sources.rows.column_names import ColumnNames
from tests.support import least_settings

TEXT = "message.text=Hello"
LEARN = "platform.first_call=learn"


def settings(*sets):
    return least_settings.settings(TEXT, *sets)


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["platform.first_call=guess"], "check"),
        (['source.alike_columns=["Expires At"]'], "has a known column"),
        (['source.alike_columns=["Status", "status"]'], "more than once"),
        (['source.alike_columns=["ended"]', "source.age_column=Ended"], "is source.age_column"),
        (["source.age_column=expires_at"], "is a known column"),
        (
            ["source.columns.address=MAIL", 'source.alike_columns=["mail"]'],
            "has a known column",
        ),
    ],
)
def test_wrong_columns_are_found_at_the_start(sets, words):
    assert words in str(least_settings.only_mistake(TEXT, *sets))


def test_by_default_every_state_is_read_first():
    assert make_likeness(settings()) is None
    assert make_row_rules(settings('source.alike_columns=["status"]')).present == ()


def test_a_file_must_have_the_columns_and_a_row_may_lack_the_cells():
    sets = (LEARN, 'source.alike_columns=["status"]', "source.age_column=Ended At")
    columns = ColumnNames(make_row_rules(settings(*sets)))
    assert columns.needed == ("status", "Ended At")
    assert not {"status", "Ended At"} & columns.necessary()
    assert columns.resolve(["conversation_id", "STATUS", "ended_at"]).names == (
        "conversation_id",
        "status",
        "Ended At",
    )


def test_rows_are_compared_by_the_names_that_their_contacts_have():
    """A column that a filter or a template spells in another way is the same column."""
    likeness = make_likeness(
        settings(
            LEARN, 'source.alike_columns=["Status"]', 'source.filter.status=["a"]',
            "source.age_column=ended_at", "message.text=Hello {ENDED_AT|there}",
        )
    )  # fmt: skip
    assert likeness.columns == ("status",)
    assert likeness.age_column == "ENDED_AT"
    assert likeness.parse_date("2026-11-22 18:00") == likeness.parse_date("2026-11-22T18:00Z")


def test_dates_are_those_of_the_source():
    sets = (LEARN, "source.age_column=ended", "source.date_format=%d/%m/%Y")
    likeness = make_likeness(settings(*sets))
    assert likeness.parse_date("03/04/2026") == likeness.parse_date("2026-04-03")


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (['source.alike_columns=["status"]'], 'platform.first_call is "check"'),
        (["source.age_column=ended"], 'platform.first_call is "check"'),
        ([LEARN, "platform.dialect=genesys", "platform.region=mypurecloud.de",
          "platform.from_address=d", "platform.base_url="], "no effect in this dialect"),
        ([LEARN, "rules.suppression_file=/dev/null"], "no effect with rules.suppression_file"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_a_warning(sets, words, tmp_path):
    list_file = tmp_path / "list.csv"
    list_file.write_text("a@example.com\n")
    found = warnings(settings(*(one.replace("/dev/null", str(list_file)) for one in sets)))
    assert any(words in warning for warning in found)


def test_in_genesys_every_state_is_read_first():
    made = settings(
        LEARN, "platform.dialect=genesys", "platform.region=mypurecloud.de",
        "platform.from_address=d", "platform.base_url=",
    )  # fmt: skip
    assert make_likeness(made) is None


def test_nothing_is_wrong_with_the_usual_settings():
    found = warnings(settings(LEARN, 'source.alike_columns=["status"]'))
    assert not any("first_call" in warning for warning in found)
