"""Exports to sinks that are killed by SIGKILL at each step, and what the next one makes of it.

`make sinks` does the same twenty times at each step of every kind of sink.
"""

from random import Random

import pytest

from tests.support.sink_builds import BROKEN
from tests.support.sink_kills import Export, Outcome, kill_everywhere, launching_exports
from tests.support.sink_steps import STEPS
from tests.support.sink_targets import TARGETS

pytestmark = pytest.mark.xdist_group("kills of exports")
LAKE, TABLE = "objects, JSON Lines (S3 by moto)", "sql, SQLite"
WAREHOUSE, TOPIC = "snowflake (fakesnow)", "kafka (tansu)"
TELLING = {
    "arrival-first": (TOPIC, ["first.after", "confirm.before"], "missing"),
    "range-not-recorded": (LAKE, ["put.after", "arrival.before"], "twice"),
    "cursor-first": (TABLE, ["rows.after"], "missing"),
    "no-transaction": (WAREHOUSE, ["merge.before"], "missing"),
    "new-name": (LAKE, ["put.after", "arrival.before"], "twice"),
}
"""Where each broken build does its harm: the target, the steps, and what is wrong with rows."""


@pytest.fixture(scope="module")
def launcher():
    """One process forks the exports of all tests."""
    with launching_exports() as made:
        yield made


@pytest.mark.parametrize("title", [TABLE, LAKE, TOPIC])
def test_a_row_is_there_once_wherever_an_export_is_killed(tmp_path, launcher, title):
    """New rows come between the kills, and an export that is killed also sends what was left.

    `make sinks` has Snowflake, too, whose local server takes a second for each range; its broken
    build is found by `make test-long`.
    """
    kills = 1
    with TARGETS[title](tmp_path) as sink:
        steps = STEPS[sink.kind]
        export = Export(tmp_path, sink, launcher)
        outcome = kill_everywhere(export, kills, Random(title), steps=list(steps))
    assert not outcome.problems
    assert outcome.kills == dict.fromkeys(steps, kills)
    assert outcome.rows > len(steps) * kills


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(name, marks=pytest.mark.long if TELLING[name][0] == WAREHOUSE else ())
        for name in BROKEN
    ],
)
def test_the_kills_find_a_broken_build(tmp_path, launcher, broken):
    """A cursor, an arrival or a name that does not keep the promise shows in the rows."""
    title, steps, wrong = TELLING[broken]
    with TARGETS[title](tmp_path) as sink:
        export = Export(tmp_path, sink, launcher, broken)
        outcome = kill_everywhere(export, 2, Random(broken), steps=steps)
    assert outcome.kills.total() == 2 * len(steps)
    assert getattr(outcome, wrong)


def test_the_comparison_finds_every_kind_of_difference():
    """A row that is missing, there twice, or not of the ledger."""
    ledger = [("a", "1"), ("b", "2")]
    same, wrong = Outcome(), Outcome()
    same.compare(ledger, ledger[::-1])
    assert not same.problems
    wrong.compare(ledger, [("b", "2"), ("b", "2"), ("c", "3")])
    assert (wrong.missing, wrong.twice, wrong.foreign) == ([("a", "1")], [("b", "2")], [("c", "3")])
    assert wrong.problems[0] == "1 rows missing, such as a"
    assert len(wrong.problems) == 3


def test_a_step_that_is_not_reached_is_a_problem(tmp_path, launcher):
    """An export that ends by itself was not killed."""
    with TARGETS[TABLE](tmp_path) as sink:
        export = Export(tmp_path, sink, launcher)
        export.add(3)
        assert not export.kill("commit.after", nth=2)
        assert "3 rows sent to sink out" in export.output
