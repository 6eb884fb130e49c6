"""The operator's commands as installed, while a dispatcher runs and while none does."""

import csv
import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import forked_process
from tests.support.forked_process import Forked, clean_environment
from tests.support.ledgers import fetch, operator_of
from tests.support.scenario_runner import (
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    play,
)

FAULTY = (
    "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n[world.shares]\nactive = 1\nended = 1\n"
    '[[fault]]\nkind = "error_500"\nendpoints = ["check"]\nprobability = 0.5\n'
)
SETTINGS = {"retry.max_attempts": 2, "retry.backoff_seconds": 0.05}


class Operator:
    """Somebody with a terminal, and a memory of all that was printed there."""

    def __init__(self, played):
        self.played = played
        self.printed = ""

    def __call__(self, *arguments, code=0, typed=None):
        command = ["-m", "dispatcher", *arguments, "--ledger", str(self.played.ledger)]
        done = forked_process.run(command, clean_environment(), typed=typed or "")
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        self.printed += done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))

    def parked(self, *more):
        return self.json("parked", "list", *more)


def wait_until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "faulty.toml"
    scenario.write_text(FAULTY)
    with play(tmp_path, scenario, 160, SETTINGS) as playing:
        yield playing


@pytest.fixture
def operator(played):
    """An operator whose run has parked some contacts, since half of the state checks failed."""
    assert played.run().returncode == 0
    played.sandbox.post("faults", faults=[])
    return Operator(played)


def test_parked_contacts_are_seen_and_put_back_with_and_without_a_dispatcher(played, operator):
    """Listed, shown, explained, replayed and dropped both ways; the rest is sent, nobody twice."""
    parked = operator.parked()
    assert len(parked) > 6
    assert {row["reason"] for row in parked} == {"exhausted"}
    assert {row["attempts"] for row in parked} == {1}
    first, second, third, *_ = (row["key"] for row in parked)
    told = operator.json("explain", first)[0]
    assert [entry["what"] for entry in told["story"]] == [
        "claimed", "check", "deferred", "claimed", "check", "settled",
    ]  # fmt: skip
    assert [entry["answer"] for entry in told["story"] if entry["what"] == "check"] == [500, 500]
    assert all(entry["correlation_id"] for entry in told["story"] if entry["what"] == "check")
    assert "exhausted" in operator("parked", "show", first)
    assert "1 contact dropped, in the ledger itself" in operator("parked", "drop", third)
    assert "--yes" in operator("parked", "replay", first, second, code=2)
    assert "2 contacts replayed, in the ledger itself" in operator(
        "parked", "replay", first, second, "--yes"
    )
    running = played.start()
    try:
        wait_until(lambda: operator.json("explain", second)[0]["status"] in ("notified", "opened"))
        assert len(operator.parked()) == len(parked) - 3
        rest = operator("parked", "replay", "--reason", "exhausted", "--yes")
        assert f"contacts replayed, by the running dispatcher (pid {running.pid})" in rest
        wait_until(lambda: not operator.json("status")["left"])
        alive = operator.json("status")
        assert alive["source"] == f"dispatcher {running.pid}"
        assert "in flight" in operator("status")
    finally:
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=20)
    assert running.returncode == 0, err
    dead = operator.json("status")
    assert dead["source"] == "ledger"
    assert dead["campaigns"] == alive["campaigns"]
    ends = played.status_counts()
    assert ends["skipped", "dropped"] == 1
    assert sum(n for (status, _), n in ends.items() if status in ("notified", "opened")) == 159
    assert_nobody_twice_nobody_missing(played)
    assert_right_call_for_each(played)
    words = [entry["what"] for entry in operator.json("explain", first)[0]["story"]]
    assert words.index("replayed") == 6
    assert words[7:9] == ["claimed", "check"]
    assert words[9] in ("notify", "open")
    for secret in ("Hello", "a-ended", "g-ended", "a-active", "g-active"):
        assert secret not in operator.printed
        assert secret.encode() not in _stories(played)


def test_a_killed_dispatcher_leaves_nothing_in_the_way(played, operator):
    """Its socket is for its user alone; after kill -9 commands work, and so does the next run."""
    first, second, *_ = (row["key"] for row in operator.parked())
    store = operator_of(played.ledger)
    running = played.start()
    try:
        wait_until(lambda: Path(store.socket() or "-").is_socket())
        socket = Path(store.socket())
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        wait_until(lambda: operator.json("status")["source"].startswith("dispatcher"))
    finally:
        running.kill()
        running.communicate(timeout=20)
    assert socket.is_socket()
    assert operator.json("status")["source"] == "ledger"
    assert "in the ledger itself" in operator("parked", "replay", first)
    again = played.start()
    try:
        wait_until(lambda: operator.json("explain", first)[0]["status"] in ("notified", "opened"))
        os.kill(again.pid, signal.SIGSTOP)
        assert "1 contact replayed" not in _killed_while_asked(operator, again, second)
    finally:
        again.kill()
        again.communicate(timeout=20)
    assert operator.json("explain", second)[0]["status"] == "parked"
    assert_nobody_twice_nobody_missing(played)


def _killed_while_asked(operator, running, key):
    """Ask a dispatcher that stands still, and kill it before it can answer."""
    command = ["-m", "dispatcher", "parked", "replay", key, "--ledger", str(operator.played.ledger)]
    asking = Forked(command, clean_environment())
    with pytest.raises(subprocess.TimeoutExpired):
        asking.wait(1.5)
    running.kill()
    out, err = asking.communicate(timeout=20)
    assert asking.returncode == 4
    assert "ended before it answered" in err
    assert "Traceback" not in err
    return out


def test_rejected_rows_are_mended_and_fed_back(tmp_path):
    """The export has the source's header and rows; mended, all of them are sent."""
    scenario = tmp_path / "plain.toml"
    scenario.write_text(
        "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n[world.shares]\nactive = 1\n"
    )
    with play(tmp_path, scenario, 12) as played:
        good = played.rows()
        lines = played.contacts.read_text().splitlines()
        lines[2] = lines[2].replace("active-", "active/")
        lines[5] += ",one too many"
        lines.append('""')
        played.contacts.write_text("\n".join(lines) + "\n")
        assert played.run().returncode == 0
        operator = Operator(played)
        out = tmp_path / "bad.csv"
        said = operator("rejected", "export", "--out", str(out))
        assert "3 rows" in said
        assert "warning" not in said
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert out.read_text().splitlines() == [lines[0], lines[2], lines[5], lines[-1]]
        with (tmp_path / "bad.reasons.csv").open(newline="") as listed:
            reasons = list(csv.DictReader(listed))
        assert [(row["out_line"], row["line"], row["reason"]) for row in reasons] == [
            ("2", "3", "bad_id"), ("3", "6", "columns"), ("4", "14", "columns"),
        ]  # fmt: skip
        assert "exists already" in operator("rejected", "export", "--out", str(out), code=2)
        out.write_text(
            "\n".join(
                [lines[0], lines[2].replace("active/", "active-"), lines[5].rsplit(",", 1)[0]]
            )
        )
        assert played.run("--source", str(out)).returncode == 0
        assert set(played.settled()) == set(good)
        assert set(played.settled().values()) == {("notified", "delivered")}
        assert_nobody_twice_nobody_missing(_with_rows(played, good))


def _with_rows(played, rows):
    played.rows = lambda: rows
    return played


def _stories(played):
    """All stories of the ledger, as they are stored."""
    stories = fetch(played.ledger, "SELECT story FROM {}contact WHERE story IS NOT NULL")
    return "".join(story for (story,) in stories).encode()
