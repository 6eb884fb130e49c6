"""The section [source]: what names of columns it takes."""

from pathlib import Path

import pytest

from dispatcher.app.wiring import make_layout, make_row_rules
from dispatcher.settings import load
from tests.support.least_settings import only_mistake, settings


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
    assert words in str(only_mistake(*sets))


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


EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "config" / "examples").glob("*.toml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_commands_that_use_the_ledger_alone_need_no_source(example):
    """Each kind of source, watched or not: nothing of it is read."""
    made = load(example, env={}, purpose="status")
    assert made.ledger.path


def test_a_watched_folder_that_only_a_run_names():
    """The path is given with ``run --source``, and ``watch`` in the configuration."""
    assert load(env={}, sets=["source.watch=true"], purpose="status").ledger.path
