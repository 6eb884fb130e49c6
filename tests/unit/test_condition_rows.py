"""When most rows of a source are rejected: the rule, its evidence, and the window of rows."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.condition import Cause
from dispatcher.domain.condition_facts import Facts, RowCounts
from dispatcher.domain.condition_judgement import judge
from dispatcher.domain.events import BadRow, RowsRead, SourceState
from dispatcher.domain.rejected_reasons import REASON_MEANINGS, named_column
from dispatcher.telemetry.condition.row_window import LEAST_ROWS, RowWindow

ROOT = Path(__file__).parents[2]
DETAIL = "column 'id' is empty"
ENDED = SourceState(age=9.0, rows=20, ended=True)


def batch(good, *bad, filtered=0, duplicates=0, detail=DETAIL):
    """A batch with so many good rows, and rejected ones with these reasons."""
    rows = tuple(BadRow("a.csv", number, reason, detail) for number, reason in enumerate(bad))
    read = good + len(bad) + filtered + duplicates
    return RowsRead(read, good, duplicates, len(bad), filtered, rows)


def counted(*batches, pause=2.0):
    """Count batches, with an evaluation after each."""
    window, now, facts = RowWindow(600.0), 0.0, RowCounts()
    for one in batches:
        window.add(one)
        facts = window.facts(now)
        now += pause
    return facts


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        (batch(9, *["no_id"] * 10), Cause.ROWS_REJECTED),
        (batch(0, *["no_id"] * 10), Cause.ROWS_REJECTED),
        (batch(400, *["bad_date"] * 300, *["mangled_number"] * 300), Cause.ROWS_REJECTED),
        (batch(10, *["no_id"] * 10), Cause.SOURCE_IDLE),
        (batch(0, *["no_id"] * 9), Cause.SOURCE_IDLE),
        (batch(1000, *["no_id"] * 100), Cause.SOURCE_IDLE),
        (batch(0, filtered=1000), Cause.SOURCE_IDLE),
        (batch(0, *["encoding"] * 10, filtered=1000), Cause.SOURCE_IDLE),
        (batch(0, *["no_id"] * 10, duplicates=1000), Cause.SOURCE_IDLE),
    ],
)
def test_more_than_half_and_at_least_ten(rows, cause):
    """What is filtered or a duplicate was a good row. A source that has ended is no excuse."""
    assert judge(Facts(rows=counted(rows), source=ENDED)).cause is cause


def test_the_evidence_is_what_an_operator_needs():
    """How many of how many, the most frequent reason in words, the column, and where they are."""
    detail = "column 'conversation_id' has an exponent; export it as text"
    rows = counted(batch(40, *["mangled_number"] * 55, *["no_id"] * 5, detail=detail))
    finding = judge(Facts(rows=rows)).primary
    assert finding.words == (
        "60 of the 100 rows that were read last (60%) were rejected, 55 of them as mangled_number "
        f"({REASON_MEANINGS['mangled_number']}: {detail}); "
        "`dispatcher rejected export --out bad.csv` lists them"
    )
    assert finding.evidence == {
        "rows_read": 100,
        "rows_rejected": 60,
        "share": 0.6,
        "reason": "mangled_number",
        "reason_rows": 55,
        "meaning": REASON_MEANINGS["mangled_number"],
        "column": "conversation_id",
        "kept": "in the ledger; listed by `dispatcher rejected export --out bad.csv`",
    }


def test_a_reason_without_a_column_has_none():
    """Nothing is made up."""
    evidence = judge(
        Facts(rows=counted(batch(0, *["json"] * 12, detail="not JSON")))
    ).primary.evidence
    assert "column" not in evidence


@pytest.mark.parametrize(
    ("detail", "column"),
    [
        ("column 'due' is empty", "due"),
        ('column "it\'s" has a null marker', "it's"),
        ("the template needs column 'first_name'", "first_name"),
        ("3 columns, the header has 4", ""),
        ("not UTF-8", ""),
    ],
)
def test_the_column_that_a_detail_names(detail, column):
    """As the reader of rows writes it."""
    assert named_column(detail) == column


def test_every_reason_has_a_meaning():
    """Those that the manual lists, and those that the readers of rows use."""
    manual = (ROOT / "docs" / "input.md").read_text().split("\n## Rejected rows\n")[1]
    listed = re.findall(r"^\| `(\w+)` \|", manual.split("\n## ")[0], re.MULTILINE)
    assert list(REASON_MEANINGS) == listed
    used = set()
    for path in (ROOT / "dispatcher" / "sources").rglob("*.py"):
        used |= set(re.findall(r'InvalidRowError\(\s*"(\w+)"', path.read_text()))
    assert len(used) > 10
    assert used <= set(REASON_MEANINGS)


def test_the_window_ends_with_the_last_row():
    """Silence changes nothing; twenty rows after it do, and old ones are forgotten by then."""
    window = RowWindow(600.0)
    window.add(batch(5, *["no_id"] * 15))
    assert window.facts(0.0).rejected == 15
    assert window.facts(50_000.0).rejected == 15
    window.add(batch(0))
    assert window.facts(60_000.0).rejected == 15
    window.add(batch(3))
    assert window.facts(70_000.0) == RowCounts(23, 15, {"no_id": 15}, {"no_id": DETAIL})
    window.add(batch(17))
    assert window.facts(70_001.0) == RowCounts(20, 0)


def read_files(*files):
    """Read files one after the other, with an evaluation after each part; then wait for an hour."""
    window = RowWindow(600.0)
    for number, rows in enumerate(files):
        for part, one in enumerate(rows):
            name = "a.csv" if part == len(rows) - 1 else None
            window.add(replace(one, file_done=name))
            found = window.facts(2.0 * number)
    return found, window.facts(3600.0)


BAD, GOOD = batch(0, *["no_id"] * 100), batch(50, *["no_id"] * 10)


@pytest.mark.parametrize(
    ("files", "rejected"),
    [
        ([[BAD], [BAD], [GOOD]], 10),
        ([[BAD], [BAD], [GOOD, GOOD]], 20),
        ([[BAD], [BAD], [GOOD], [batch(0)]], 10),
        ([[BAD], [BAD], [batch(19)]], 200),
        ([[BAD], [GOOD, BAD]], 210),
        ([[GOOD], [GOOD], [BAD], [BAD]], 220),
    ],
)
def test_a_file_that_was_corrected_ends_it_after_a_while(files, rejected):
    """Two attempts were bad, and the last file is good: ten minutes after it they are forgotten."""
    before, after = read_files(*files)
    assert before.rejected == sum(one.rejected for rows in files for one in rows)
    assert after.rejected == rejected
    assert sum(after.reasons.values()) == rejected


def test_files_that_are_read_between_two_evaluations():
    """All of them are small."""
    window = RowWindow(600.0)
    for one in (BAD, BAD, GOOD):
        window.add(replace(one, file_done="a.csv"))
    assert window.facts(0.0).rejected == 210
    assert window.facts(599.0).rejected == 210
    assert window.facts(600.0).rejected == 10


def test_a_file_that_is_not_read_to_its_end_is_no_corrected_one():
    """What was read after the last good file counts."""
    window = RowWindow(600.0)
    for one in (BAD, replace(GOOD, file_done="a.csv"), BAD):
        window.add(one)
        window.facts(0.0)
    assert window.facts(3600.0).rejected == 210


@pytest.mark.parametrize(
    ("good", "cause"), [(0, Cause.ROWS_REJECTED), (4, Cause.ROWS_REJECTED), (2, Cause.OK)]
)
def test_a_stream_with_a_row_every_five_minutes(good, cause):
    """All of its rows are rejected, or three of four, or half."""
    stream = [batch(1) if good and n % good == 0 else batch(0, "no_id") for n in range(40)]
    assert judge(Facts(rows=counted(*stream, pause=300.0))).cause is cause


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 500)), max_size=40))
def test_the_counts_are_those_of_whole_batches_up_to_the_last(parts):
    """Compared with a list: the batches that are young enough, and as many as twenty rows need."""
    window, now, kept, found = RowWindow(600.0), 0.0, [], RowCounts()
    for good, bad, pause in parts:
        now += pause
        window.add(batch(good, *["no_id"] * bad))
        found = window.facts(now)
        if good + bad:
            kept.append((now, good + bad, bad))
            while now - kept[0][0] >= 600.0 and sum(read for _, read, _ in kept[1:]) >= LEAST_ROWS:
                del kept[0]
        assert found.read == sum(read for _, read, _ in kept)
        assert found.rejected == sum(rejected for _, _, rejected in kept)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_a_source_of_which_half_is_good_never_raises_it(pairs):
    """Whatever its batches are."""
    batches = [batch(good + bad, *["no_id"] * bad) for good, bad in pairs]
    assert judge(Facts(rows=counted(*batches))).cause is Cause.OK
