"""Rejected rows in the log: enough to see that they are there, never one line for each."""

from structlog.testing import capture_logs

from dispatcher.domain.events import BadRow, RowsRead
from dispatcher.telemetry.logs.sink import LogSink


def read(rows, *, done=None):
    bad = tuple(BadRow(*row) for row in rows)
    return RowsRead(len(bad), 0, 0, len(bad), 0, bad, done)


def lines(*events):
    """Return the log's warnings for some batches."""
    with capture_logs() as captured:
        sink = LogSink(campaign="c")
        for event in events:
            sink.emit(event)
    return [line for line in captured if line["log_level"] == "warning"]


def test_the_first_rows_of_each_reason_have_a_line_and_the_others_are_counted():
    rows = [("a.csv", line, "no_text") for line in range(2, 2002)] + [("a.csv", 2002, "date")]
    logged = lines(read(rows[:700]), read(rows[700:], done="a.csv"))
    shown = [
        (line["row_line"], line["reason"]) for line in logged if line["event"] == "row.rejected"
    ]
    assert shown == [(2, "no_text"), (3, "no_text"), (4, "no_text"), (2002, "date")]
    counted = [line["rows"] for line in logged if line["event"] == "rows.rejected"]
    assert counted == [10, 100, 1000]
    end = logged[-1]
    assert (end["event"], end["file"], end["rows"]) == ("file.bad_rows", "a.csv", 2001)
    assert end["reasons"] == {"no_text": 2000, "date": 1}
    assert end["campaign"] == "c"


def test_files_are_counted_apart_and_a_good_one_has_no_line():
    """A folder's next file starts from the first rows again."""
    logged = lines(
        read([("a", 2, "date")], done="a"), read([], done="b"), read([("a", 2, "date")], done="a")
    )
    assert [line["event"] for line in logged] == ["row.rejected", "file.bad_rows"] * 2


def test_a_line_has_nothing_of_the_row():
    """What is wrong and what to do is there; `RejectedRow.detail` never has a value of the row."""
    (line, _) = lines(read([("a", 2, "header", "the header has no column 'x'")], done="a"))
    assert set(line) == {"event", "log_level", "campaign", "file", "row_line", "reason", "detail"}
    assert line["detail"] == "the header has no column 'x'"
