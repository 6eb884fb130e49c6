"""Logs in files, pipes and terminals."""

import contextlib
import io
import os
import pty
import re
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import structlog

from dispatcher.domain import events as e
from dispatcher.domain.status import (
    HaltReason,
    Reason,
    Relation,
    RetryReason,
    ScopeSource,
    Status,
    Step,
)
from dispatcher.telemetry.logs.settled_line import EVENT, settled_fields
from dispatcher.telemetry.logs.setup import configure
from dispatcher.telemetry.logs.sink import LogSink
from dispatcher.telemetry.logs.writer import LogWriter

SETTLED = e.Settled(
    "key-1", "old-1", Status.OPENED, Reason.DELIVERED, Relation.LINKED, "new-1", "m-1", "r-1", 0.5
)
FAILED = e.Answered(
    Step.OPEN, "409", 0.1, "key-1", "old-1", "r-1", failed=True, words="Conflict" + "x" * 500
)


@pytest.fixture(autouse=True)
def _put_back():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def lines_of(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def logged(tmp_path, *facts, level="debug"):
    path = tmp_path / "log"
    logs = configure("json", path=path, level=level)
    sink = LogSink(campaign="cart")
    for fact in facts:
        sink.emit(fact)
    assert logs.close()
    return lines_of(path)


@pytest.mark.parametrize(
    ("fact", "event", "level", "fields"),
    [
        (e.RowsRead(4, 1, 1, 1, 1), "source.batch", "debug", {"rows": 4, "filtered": 1}),
        (SETTLED, "contact.settled", "info", {"status": "opened", "conversation_id": "new-1"}),
        (FAILED, "request.failed", "warning", {"status": "409", "correlation_id": "r-1"}),
        (
            e.Answered(Step.CHECK, "200", 0.1, "key-1", "old-1", "r-1", failed=False),
            "request.answered",
            "debug",
            {"step": "check"},
        ),
        (
            e.Deferred("key-1", "old-1", RetryReason.NOT_ENDED, 5.0),
            "contact.deferred",
            "info",
            {"reason": "not_ended", "due_in_seconds": 5.0},
        ),
        (
            e.ScopeError(ScopeSource.FORBIDDEN, Step.OPEN, "key-1", "r-1", ("a:b",)),
            "scope.error",
            "error",
            {"source": "forbidden", "missing": ["a:b"]},
        ),
        (
            e.ClosedConflict(Step.NOTIFY, 400, "key-1", "r-1"),
            "session.conflict",
            "warning",
            {"status": 400, "step": "notify"},
        ),
        (e.RetryLoop(Step.OPEN, "key-1"), "retry.loop", "warning", {"step": "open"}),
        (
            e.InDoubt("parked", Step.OPEN, "key-1", "old-1", "r-1"),
            "send.in_doubt",
            "warning",
            {"resolution": "parked"},
        ),
        (e.Throttled(None, 3.0, "k"), "quota.throttled", "warning", {"step": None}),
        (e.Halted(HaltReason.SCOPE, "why"), "run.halted", "error", {"detail": "why"}),
        (e.Resumed(HaltReason.SCOPE, 3.0), "run.resumed", "info", {"reason": "scope"}),
        (e.Probed(HaltReason.SCOPE), "run.probe", "info", {"reason": "scope"}),
        (e.Gauges(1, 2, 3.0, 4.0, 0.5), "run.gauges", "debug", {"quota_used": 0.5}),
    ],
)
def test_an_event_is_one_line(tmp_path, fact, event, level, fields):
    """An event is one line of JSON with its documented name, its level, and the campaign."""
    (line,) = logged(tmp_path, fact)
    assert (line["event"], line["level"], line["campaign"]) == (event, level, "cart")
    assert fields.items() <= line.items()


def test_the_line_of_a_settled_contact_is_the_one_that_structlog_would_write(tmp_path):
    """Most of a log is this line, which is written without structlog's processors."""
    path = tmp_path / "log"
    logs = configure("json", path=path)
    facts = [SETTLED, replace(SETTLED, relation=None, conversation_id=None, message_id=None)]
    for fact in facts:
        LogSink(campaign='ca"rt').emit(fact)
        structlog.get_logger().bind(campaign='ca"rt').info(EVENT, **settled_fields(fact))
    assert logs.close()
    got = [re.sub(rb'"time":"[^"]*"', b"", line) for line in path.read_bytes().splitlines()]
    assert (got[0], got[2]) == (got[1], got[3])
    times = [line["time"] for line in lines_of(path)]
    assert times == sorted(times)


@pytest.mark.parametrize("level", ["warning", "error"])
def test_the_line_of_a_settled_contact_has_its_level(tmp_path, level):
    """At a higher level it is not written."""
    assert logged(tmp_path, SETTLED, level=level) == []


def test_a_file_without_rows_has_a_line_of_its_own(tmp_path):
    """At the usual level, since nothing else would show it."""
    event = e.RowsRead(0, 0, 0, 0, 0, empty_file="a.csv")
    (line,) = logged(tmp_path, event, level="info")
    assert (line["event"], line["level"], line["file"]) == ("file.empty", "warning", "a.csv")


def test_the_level_keeps_lines_out(tmp_path):
    """At the usual level, what is of use to developers alone is not written."""
    got = logged(tmp_path, e.RowsRead(1, 1, 0, 0, 0), SETTLED, e.StateAged(1.0), level="info")
    assert [line["event"] for line in got] == ["contact.settled"]


def test_foreign_words_are_cut(tmp_path):
    """The platform's words are cut to 200 characters."""
    (line,) = logged(tmp_path, FAILED)
    assert len(line["words"]) == 200


def test_a_secret_under_its_key_is_redacted(tmp_path):
    """The second line of defence: a log call that names a secret does not write it."""
    path = tmp_path / "log"
    logs = configure("json", path=path)
    structlog.get_logger().warning(
        "x", client_secret="hush", headers={"Authorization": "Bearer hush"}, text="hush"
    )
    assert logs.close()
    assert b"hush" not in path.read_bytes()


def fails(first, second):
    held = first + second
    raise ValueError("broken" if held else "")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_no_local_variables(tmp_path, format_):
    """An exception is written with its traceback, but without what variables held."""
    path = tmp_path / "log"
    logs = configure(format_, path=path)
    try:
        fails("hu", "sh")
    except ValueError:
        structlog.get_logger().exception("it.broke")
    assert logs.close()
    text = path.read_text()
    assert "ValueError: broken" in text
    assert "hush" not in text


def test_the_file_is_for_its_owner_alone_and_appended_to(tmp_path):
    """Ids are in the log: nobody else reads it. A restart goes on in the same file."""
    logged(tmp_path, SETTLED)
    assert len(logged(tmp_path, SETTLED)) == 2
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_lines_are_on_disk_soon(tmp_path):
    """A line is in the file after a tenth of a second or so, without a close."""
    path = tmp_path / "log"
    logs = configure("json", path=path)
    LogSink(campaign="c").emit(SETTLED)
    wait_until(path.read_bytes)
    assert len(lines_of(path)) == 1
    assert logs.close()


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("create", [False, True], ids=["renamed", "renamed and created"])
def test_a_renamed_file_is_opened_again(tmp_path, create):
    """After log rotation, old lines are in the old file, new ones in the new one."""
    path, old = tmp_path / "log", tmp_path / "log.1"
    logs = configure("json", path=path)
    sink = LogSink(campaign="c")
    sink.emit(SETTLED)
    wait_until(path.read_bytes)
    path.rename(old)
    if create:
        path.touch(mode=0o600)
    sink.emit(FAILED)
    assert logs.close()
    assert [line["event"] for line in lines_of(old)] == ["contact.settled"]
    assert [line["event"] for line in lines_of(path)] == ["request.failed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_removed_file_is_made_again(tmp_path):
    """A file that somebody deleted does not swallow what follows."""
    path = tmp_path / "log"
    logs = configure("json", path=path)
    path.unlink()
    LogSink(campaign="c").emit(SETTLED)
    assert logs.close()
    assert len(lines_of(path)) == 1


def test_a_truncated_file_is_written_on(tmp_path):
    """Log rotation that copies and truncates leaves no gap of zeros."""
    path = tmp_path / "log"
    logs = configure("json", path=path)
    sink = LogSink(campaign="c")
    sink.emit(SETTLED)
    wait_until(path.read_bytes)
    os.truncate(path, 0)
    sink.emit(FAILED)
    assert logs.close()
    assert [line["event"] for line in lines_of(path)] == ["request.failed"]


def test_a_file_that_cannot_be_reopened_is_kept(tmp_path):
    """A folder that is gone loses no line: the file that is open is written on."""
    folder = tmp_path / "logs"
    folder.mkdir()
    logs = configure("json", path=folder / "log")
    (folder / "log").rename(tmp_path / "kept")
    folder.rmdir()
    sink = LogSink(campaign="c")
    sink.emit(SETTLED)
    wait_until((tmp_path / "kept").read_bytes)
    folder.mkdir()
    sink.emit(FAILED)
    assert logs.close()
    assert [line["event"] for line in lines_of(tmp_path / "kept")] == ["contact.settled"]
    assert [line["event"] for line in lines_of(folder / "log")] == ["request.failed"]


def test_a_full_disk_is_counted_without_a_traceback(capfd):
    """What the disk does not take is dropped and counted; nothing is printed."""
    logs = configure("json", path=Path("/dev/full"))
    LogSink(campaign="c").emit(FAILED)
    assert logs.close()
    assert logs.dropped == 1
    assert capfd.readouterr() == ("", "")


def read_all(descriptor):
    data = b""
    try:
        while chunk := os.read(descriptor, 65536):
            data += chunk
    except OSError:
        pass  # a terminal whose other side is closed says so with an error
    return data.decode()


def read_some(descriptor):
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, 1 << 20)


def test_auto_is_for_people_at_a_terminal():
    """At a real terminal, lines are for people; they are no JSON."""
    mine, theirs = pty.openpty()
    with os.fdopen(theirs, "wb", buffering=0) as terminal:
        logs = configure("auto", stream=terminal)
        LogSink(campaign="c").emit(SETTLED)
        assert logs.close()
    text = read_all(mine)
    os.close(mine)
    assert "contact.settled" in text
    assert not text.startswith("{")


def test_auto_is_json_elsewhere():
    """Into a pipe, lines are JSON."""
    stream = io.BytesIO()
    logs = configure("auto", stream=stream)
    LogSink(campaign="c").emit(SETTLED)
    assert logs.close()
    assert orjson.loads(stream.getvalue())["event"] == "contact.settled"


def test_without_a_target_it_is_standard_error(capfd):
    """Nothing is written to standard output, which belongs to the summary."""
    logs = configure("json")
    LogSink(campaign="c").emit(SETTLED)
    assert logs.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert orjson.loads(err)["event"] == "contact.settled"


def test_a_pipe_that_nobody_reads_blocks_nothing(monkeypatch):
    """With a full pipe, logging goes on at once; what does not fit is dropped and counted."""
    monkeypatch.setattr("dispatcher.telemetry.logs.writer.MOST_BYTES", 100_000)
    mine, theirs = os.pipe()
    with os.fdopen(theirs, "wb", buffering=0) as pipe:
        logs = configure("json", stream=pipe)
        sink = LogSink(campaign="c")
        emitting = threading.Thread(target=lambda: [sink.emit(FAILED) for _ in range(5000)])
        emitting.start()
        emitting.join(60)
        assert not emitting.is_alive()
        assert logs.dropped > 0
        started = time.monotonic()
        assert not logs.close()
        assert time.monotonic() - started < 10.0
        os.set_blocking(mine, False)
        wait_until(lambda: not read_some(mine) and logs._thread is None)
    os.close(mine)


def test_a_target_that_is_gone_is_counted():
    """A closed pipe does no harm: its lines are counted as dropped."""
    mine, theirs = os.pipe()
    os.close(mine)
    with os.fdopen(theirs, "wb", buffering=0) as pipe:
        lines = LogWriter(pipe)
        lines.put_now(b"a\n")
        assert lines.close()
    assert lines.dropped == 1
    lines.put(b"late\n")
    assert lines.dropped == 2


@pytest.mark.parametrize(
    ("more", "named"), [({"format": "xml"}, "log_format"), ({"level": "loud"}, "log_level")]
)
def test_a_wrong_setting_is_named(more, named):
    """A format or level that does not exist is an error that names the setting."""
    with pytest.raises(ValueError, match=named):
        configure(**more)
