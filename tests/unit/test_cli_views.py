"""Progress and summary: what they show, and that the summary adds up."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dispatcher.cli import formatting, progress, summary
from dispatcher.domain.events import (
    Answered,
    ClosedConflict,
    Gauges,
    Halted,
    RetryLoop,
    RowsRead,
    ScopeError,
    Settled,
)
from dispatcher.domain.status import FINAL, HaltReason, Reason, ScopeSource, Status, Step
from dispatcher.ports import Totals
from dispatcher.telemetry.stats.run_stats import RunStats

COUNTS = st.integers(0, 10_000)


@pytest.fixture
def snapshot():
    tally = RunStats()
    tally.emit(RowsRead(10, 7, 1, 1, 1))
    for status in (Status.NOTIFIED, Status.OPENED, Status.OPENED):
        tally.emit(Settled("k", "c", status, Reason.DELIVERED, None, None, None, "", 0.1))
        tally.emit(Answered(Step.CHECK, "200", 0.1, "k", "c", "", failed=False))
    tally.emit(Answered(Step.OPEN, "409", 0.1, "k", "c", "", failed=True))
    tally.emit(ScopeError(ScopeSource.MASKED_CONFLICT, Step.OPEN, "k", ""))
    tally.emit(ClosedConflict(Step.OPEN, 409, "k", ""))
    tally.emit(ClosedConflict(Step.NOTIFY, 400, "k", ""))
    tally.emit(RetryLoop(Step.OPEN, "k"))
    tally.emit(Halted(HaltReason.SCOPE, "the token lacks a scope"))
    tally.emit(Gauges(2, 40, 0.0, 5.0, 0.87))
    return tally.snapshot()


def printed(show, *arguments) -> str:
    out = io.StringIO()
    show(Console(file=out, width=100), *arguments)
    return out.getvalue()


def test_plain_line_tells_everything(snapshot):
    """One line has the outcomes, the backlog, the quota, each of the three counters, and halts."""
    line = progress.line(snapshot)
    for words in (
        "settled 3: notified 1, opened 2",
        "waiting 42",
        "quota 87%",
        "scope errors 1",
        "closed-session conflicts 2",
        "retry loops 1",
        "HALTED: scope",
    ):
        assert words in line
    assert "\n" not in line


def test_panel_tells_the_same(snapshot):
    """The live view has the same figures."""
    text = printed(lambda console: console.print(progress.panel({"c1": snapshot})))
    for words in ("c1", "3 settled", "42 waiting", "87% of the quota", "HALTED: scope"):
        assert words in text
    assert re.search(r"scope errors 1 +closed-session conflicts 2 +retry loops 1", text)


def test_plain_view_prints_every_ten_seconds(snapshot, monkeypatch):
    """A log is not flooded: updates come twice a second, lines every ten seconds."""
    now = [100.0]
    monkeypatch.setattr("dispatcher.cli.progress.time.monotonic", lambda: now[0])
    out = io.StringIO()
    with progress.progress_view(Console(file=out, width=40), live=False) as view:
        for _ in range(50):
            now[0] += 0.5
            view.update({"c1": snapshot})
    assert len(out.getvalue().splitlines()) == 2
    assert view.stream is None


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ([(1200, None), (5, None)], "rows read 1,200, states read 5\n"),
        ([(1200, 1200), (5, 60)], "rows read 1,200 of 1,200, states read 5 of 60\n"),
    ],
)
def test_counts_are_lines_without_a_terminal(counts, line, monkeypatch, capsys):
    """On standard error, at most one every ten seconds; a total is named when it is known."""
    now = [100.0]
    monkeypatch.setattr("dispatcher.cli.progress.time.monotonic", lambda: now[0])
    with progress.show_counts("rows read", "states read", live=False) as show:
        for _ in range(3):
            now[0] += 5.0
            show(*counts)
    assert capsys.readouterr().err == line


def test_counts_are_bars_at_a_terminal(monkeypatch, capsys):
    """Done and total of each task, as the option asks."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.show_counts("copying", live=True) as show:
        show((3, 7))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "copying" in shown
    assert "3/7" in shown


def test_live_view_cleans_up(snapshot):
    """At a terminal the view is drawn in place, and gone at the end."""
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    with progress.progress_view(console, live=True) as view:
        view.update({"c1": snapshot})
        assert "3 settled" in out.getvalue()
    assert out.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))


def test_logs_appear_above_the_live_view():
    """What is logged to the same terminal is printed as it is, not drawn over."""
    out = io.StringIO()
    stream = progress._LogLines(Console(file=out, width=100))
    assert stream.write(b"a line [not markup]\n") == 20
    assert stream.writable()
    assert stream.isatty()
    assert out.getvalue() == "a line [not markup]\n"


PAIRS = [(status, reason) for status in FINAL for reason in Reason] + [
    (status, None) for status in Status if status not in FINAL
]


@given(
    st.dictionaries(st.sampled_from(PAIRS), COUNTS),
    st.dictionaries(st.sampled_from(["no_id", "not_utf8", "bad_date"]), COUNTS),
    COUNTS,
    COUNTS,
)
def test_summary_adds_up(by_status, rejected, duplicates, filtered):
    """Whatever became of the rows, each is in exactly one line."""
    admitted = sum(by_status.values())
    rows = admitted + duplicates + filtered + sum(rejected.values())
    totals = Totals(rows, admitted, duplicates, filtered, rejected, by_status)
    assert sum(number for _, _, number in summary.lines(totals)) == rows
    text = printed(summary.show_totals, "c1", totals)
    assert f"{rows:,}" in text
    assert "differ" not in text


def test_summary_says_when_it_does_not_add_up():
    """A row that is in no line is a bug, and is reported."""
    text = printed(summary.show_totals, "c1", Totals(3, 1, 0, 0, {}, {(Status.READY, None): 1}))
    assert "differ from the rows by 2" in text
    assert "ready, not final" in text


def test_summary_of_a_run(snapshot):
    """Requests by endpoint and answer, the three counters by tag, requests per contact."""
    text = printed(summary.show_run, snapshot)
    assert re.search(r"check +200 +3\b", text)
    assert re.search(r"open +409 +1\b", text)
    assert re.search(r"scope errors +masked_conflict: 1 +1\b", text)
    assert re.search(r"closed-session conflicts +notify 400: 1, open 409: 1 +2\b", text)
    assert re.search(r"retry loops +open: 1 +1\b", text)
    assert "1.33 requests per contact" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (3725, "1:02 h")]
)
def test_durations_are_short(seconds, text):
    """Durations are read at a glance."""
    assert formatting.duration(seconds) == text


def test_several_campaigns_are_shown_beside_their_sum(snapshot):
    """The line, the panel and the summary add them up, and show which one is paused."""
    tally = RunStats()
    tally.emit(Halted(HaltReason.PAUSED, "paused by the operator"))
    both = {"carts": snapshot, "questions": tally.snapshot()}
    first, carts, questions = progress.lines(both)
    assert "settled 3: notified 1, opened 2" in first
    assert "HALTED" not in first
    assert carts.startswith("  carts: settled 3: notified 1, opened 2")
    assert questions.startswith("  questions: settled 0: ")
    assert questions.endswith("; PAUSED")
    text = printed(lambda console: console.print(progress.panel(both)))
    assert re.search(r"campaign +2 campaigns", text)
    assert re.search(r"carts +3 settled, .*HALTED: scope", text)
    assert re.search(r"questions +0 settled, .*PAUSED", text)
    table = printed(summary.show_campaigns, both)
    assert re.search(r"carts +HALTED: scope +4 +3\b", table)
    assert re.search(r"questions +PAUSED +0 +0\b", table)
    assert printed(summary.show_campaigns, {"carts": snapshot}) == ""
