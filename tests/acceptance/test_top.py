"""``dispatcher top`` as installed: at a terminal of 80x24, where there is none, before a run."""

import json
import os
import signal
import socket
import time

import pytest

from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import play
from tests.support.terminal import Terminal

SLOW = "[rate]\nallowed = 40\nwindow_seconds = 2.0\n[world.shares]\nactive = 1\nended = 1\n"
SETTINGS = {"platform.requests_per_minute": 1200}


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "slow.toml"
    scenario.write_text(SLOW)
    with play(tmp_path, scenario, 400, SETTINGS) as playing:
        yield playing


def dispatcher(*arguments, code=0, **environment):
    command = ["-m", "dispatcher", *arguments]
    done = forked_process.run(command, {**clean_environment(), **environment})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def wait_until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def paused(played):
    status = json.loads(dispatcher("status", "--ledger", str(played.ledger), "--json"))
    return status["campaigns"][0]["paused_since"] is not None


def test_a_run_is_watched_paused_looked_at_drained_and_watched_again(played):
    """Keys ask before they do anything, the end and the restart of a run are said, q restores."""
    ledger = ("--ledger", str(played.ledger))
    runs = [played.start()]
    try:
        played.sandbox.wait_for_effects(3)
        with Terminal("top", *ledger, "--interval", "0.3") as top:
            text = top.wait_for(f"pid {runs[0].pid}, running for")
            for words in ("SENT", "failures", "quota", "requests", "waiting", "sources", "files"):
                assert words in text
            assert "Hello" not in text
            assert not [who for who in played.rows() if who in text]
            _pause_and_resume(top, played, runs[0])
            _look_at_contacts(top, played)
            _drain(top, runs[0])
            runs.append(played.start())
            top.wait_for(f"pid {runs[1].pid}, running for")
            top.wait_for(f"before it pid {runs[0].pid}")
            top.type("q")
            assert top.wait() == 0
            assert top.is_as_before()
            assert top.raw.endswith(b"\x1b[?25h\x1b[?1049l")  # the cursor, and the screen before
        once = dispatcher("top", *ledger)
        assert f"pid {runs[1].pid}, running for" in once
        assert "\x1b" not in once
        _print_plainly(ledger)
    finally:
        for process in runs:
            if process.poll() is None:
                process.kill()
                process.communicate(timeout=20)


def _pause_and_resume(top, played, running):
    top.type("py")  # what is pasted with the key answers no question
    top.wait_for("Pause campaign play?")
    top.type("n")
    top.wait_for("Nothing was done.")
    assert not paused(played)
    top.type("p")
    top.wait_for("y/N")
    top.type("y")
    top.wait_for(f"Campaign play is paused, by the running dispatcher (pid {running.pid})")
    top.wait_for("PAUSED, since")
    assert paused(played)
    top.type("r")
    top.wait_for("Resume campaign play?")
    top.type("y")
    top.wait_for("Campaign play is resumed")
    assert not paused(played)


def _look_at_contacts(top, played):
    someone = next(iter(played.rows()))
    top.type(f"/{someone}\r")
    text = top.wait_for(f"Contact {someone} of campaign play")
    assert not [who for who in played.rows() if who in text and who != someone]
    top.wait_for("claimed")
    top.type("q")
    top.wait_for("outcomes")
    top.type("/nobody\r")
    top.wait_for("no contact in the ledger has the key")


def _drain(top, running):
    top.resize(120, 40)
    top.wait_for("TIME LEFT")
    os.kill(running.pid, signal.SIGSTOP)  # keys work while the run does not answer
    top.type("?")
    top.wait_for("WHAT IS SHOWN")
    os.kill(running.pid, signal.SIGCONT)
    top.type("q")
    top.wait_for("outcomes")
    top.type("d")
    top.wait_for(f"Drain the run (pid {running.pid})?")
    top.type("y")
    top.wait_for("The run drains:")
    running.communicate(timeout=30)
    assert running.returncode == 0
    top.wait_for(f"The run (pid {running.pid}) has ended, or is restarting")


def _print_plainly(ledger):
    """A terminal that cannot draw gets one block after the other, and Ctrl-C ends them."""
    with Terminal("top", *ledger, "--interval", "0.3", environment={"TERM": "dumb"}) as top:
        top.wait_for("dispatcher top")
        top.type("")
        top.wait_for("dispatcher top")
        assert b"\x1b" not in top.raw
        top.process.send_signal(signal.SIGINT)
        assert top.wait() == 0


def test_without_a_run_it_is_as_status(played, tmp_path):
    """The same lines from the ledger, and the same exit code and sentence without a ledger."""
    assert played.run("--limit", "4").returncode in (0, 10)
    ledger = ("--ledger", str(played.ledger))
    shown = dispatcher("top", *ledger)
    assert "No dispatcher is running: this was read from the ledger." in shown
    assert shown.splitlines()[:4] == dispatcher("status", *ledger).splitlines()[:4]
    missing = ("--ledger", str(tmp_path / "none.db"))
    for command in ("top", "status"):
        dispatcher(command, *missing, code=4)


def test_it_is_opened_before_the_first_run_and_waits_for_it(played):
    """It says what it waits for, shows the run when it begins, and its end when it is killed."""
    with Terminal("top", "--ledger", str(played.ledger), "--interval", "0.3") as top:
        top.wait_for("No run answers on this machine. Waiting for one since")
        run = played.start()
        try:
            top.wait_for(f"pid {run.pid}, running for")
            top.wait_for("condition ")
            os.kill(run.pid, signal.SIGSTOP)
            top.type("")
            top.wait_for("condition unknown since")
            os.kill(run.pid, signal.SIGKILL)
            top.wait_for(f"The run (pid {run.pid}) has ended, or is restarting")
            top.type("")
            assert "condition" not in top.wait_for("q quit")
        finally:
            run.kill()
            run.communicate(timeout=20)
        top.type("q")
        assert top.wait() == 0
        assert top.is_as_before()


@pytest.mark.parametrize("accepts", [True, False], ids=["is silent", "refuses"])
def test_a_server_that_is_away_at_the_start_is_waited_for(accepts):
    """Keys work meanwhile; where there is no terminal it ends as `status` does."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if accepts:
            server.listen()
        ledger = ("--ledger", f"postgresql://someone@127.0.0.1:{server.getsockname()[1]}/ledger")
        with Terminal("top", *ledger, "--interval", "0.3") as top:
            top.wait_for("Looking for the run since" if accepts else "Waiting for one since")
            top.type("?")
            top.wait_for("WHAT IS SHOWN")
            top.type("qq")
            assert top.wait(5.0) == 0
        if not accepts:
            dispatcher("top", *ledger, code=4)


def test_a_terminal_that_cannot_draw_waits_too(tmp_path):
    """One block after the other, until Ctrl-C; but not where there is no terminal."""
    ledger = ("--ledger", str(tmp_path / "none.db"), "--interval", "0.3")
    with Terminal("top", *ledger, environment={"TERM": "dumb"}) as top:
        top.wait_for("Waiting for one since")
        top.type("")
        top.wait_for("there is no such file")
        top.process.send_signal(signal.SIGINT)
        assert top.wait() == 0
    dispatcher("top", *ledger, "--plain", code=4)
