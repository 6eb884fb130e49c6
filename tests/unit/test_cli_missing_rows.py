"""A run that had nobody to send to is not a success."""

import re
from collections import Counter
from types import SimpleNamespace

import pytest

from dispatcher.app import RunOutcome, RunResult
from dispatcher.cli.commands.run import _ending
from dispatcher.cli.missing_rows import missing_rows
from dispatcher.domain.errors import ExitCode
from dispatcher.ports import Totals


def result(*, rows=0, admitted=0, duplicates=0, filtered=0, rejected=0, run=None, ending="done"):
    """A run's end; ``run`` is what it read: rows, admitted, rejected rows, settled contacts."""
    totals = Totals(rows, admitted, duplicates, filtered, {"no_text": rejected}, Counter())
    read = dict(
        zip(("rows", "admitted", "rejected_rows", "settled_total"), run or (0,) * 4, strict=True)
    )
    return RunResult(RunOutcome(ending), {"c": SimpleNamespace(**read)}, {"c": totals})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "the source has no rows"),
        ({"rows": 3, "rejected": 3, "run": (3, 0, 3, 0)}, "0 of 3 rows .*no_text: 3"),
        ({"rows": 1, "filtered": 1, "run": (1, 0, 0, 0)}, "0 of 1 row .* source.filter: 1"),
        ({"rows": 3, "rejected": 3}, "0 of 3 rows"),
        ({"rows": 9, "admitted": 5, "rejected": 4, "run": (4, 0, 4, 0)}, "read 4 rows, 4 of them"),
    ],
    ids=["empty", "all bad", "all filtered", "again", "a bad file after a good one"],
)
def test_a_run_without_good_rows(facts, words):
    ended = result(**facts)
    assert re.search(words, missing_rows(ended))
    assert _ending(ended, limited=False)[0] is ExitCode.NO_ROWS


@pytest.mark.parametrize(
    "facts",
    [
        {"rows": 5, "admitted": 5},
        {"rows": 9, "admitted": 5, "duplicates": 4, "run": (4, 0, 0, 0)},
        {"rows": 9, "admitted": 6, "rejected": 3, "run": (4, 1, 3, 1)},
        {"rows": 9, "admitted": 5, "rejected": 4, "run": (4, 0, 4, 2)},
        {"rows": 9, "admitted": 5, "filtered": 4, "run": (4, 0, 0, 0)},
    ],
    ids=["nothing new", "all there already", "some good", "sent to earlier ones", "filtered today"],
)
def test_a_run_that_had_good_rows_now_or_earlier_is_done(facts):
    ended = result(**facts)
    assert missing_rows(ended) is None
    assert _ending(ended, limited=False)[0] is ExitCode.DONE


def test_a_limit_may_end_a_run_before_a_campaign_is_read():
    good, empty = result(rows=1, admitted=1, run=(1, 1, 0, 1)), result()
    both = RunResult(
        RunOutcome.DONE,
        {"a": good.snapshots["c"], "b": empty.snapshots["c"]},
        {"a": good.totals["c"], "b": empty.totals["c"]},
    )
    assert missing_rows(both, limited=True) is None
    assert "campaign b: the source has no rows" in missing_rows(both)
    assert missing_rows(empty, limited=True)


def test_another_end_keeps_its_code():
    assert _ending(result(ending="drained"), limited=False)[0] is ExitCode.DONE
    assert _ending(result(ending="halted"), limited=False)[0] is ExitCode.HALTED
