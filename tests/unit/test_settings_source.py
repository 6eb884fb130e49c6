"""The section [source]: what names of columns it takes."""

import pytest

from dispatcher.app.wiring import make_layout, make_row_rules
from dispatcher.settings import SettingsError, load

SECRETS = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
NEEDED = {"campaign": "c1", "source.path": "-", "platform.base_url": "https://api.example.com"}


def settings(*sets):
    return load(None, env=SECRETS, sets=sets, flags=NEEDED)


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (['source.columns.text="B"', 'source.attributes=["B"]'], 'has "B", which is in'),
        (['source.attributes=["Conversation ID"]'], "which every row needs"),
        (['source.header=["id", "name"]'], 'has no column "conversation_id"'),
        (['source.header=["conversation_id", "a", "A"]'], "more than once"),
        (["source.mangled_numbers=keep"], "reject"),
        (["rules.timezone_column=EXPIRES_AT"], "is a known column"),
    ],
)
def test_wrong_names_of_columns(sets, words):
    """Each is one mistake."""
    with pytest.raises(SettingsError) as caught:
        settings(*sets)
    (mistake,) = caught.value.mistakes
    assert words in str(mistake)


def test_what_the_source_gets():
    """The settings reach the reader, with the columns that rules name."""
    made = settings(
        'source.header=["Conversation ID", "", "tz"]', 'source.attributes=["text"]',
        'source.null_values=["-"]', "source.mangled_numbers=accept", "rules.timezone_column=tz",
    )  # fmt: skip
    rules = make_row_rules(made)
    assert (rules.attributes, rules.null_values, rules.named) == (("text",), ("-",), ("tz",))
    assert rules.mangled_numbers == "accept"
    assert make_layout(made).header == ("Conversation ID", "", "tz")
