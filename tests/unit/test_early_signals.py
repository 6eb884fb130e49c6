"""A SIGTERM that comes before the imports of a command are done."""

import signal

import pytest

from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import CREDENTIALS

SIGNALLED = """
import os, signal
import dispatcher.cli
from dispatcher import __main__, early_signals
imported = dispatcher.cli.main
def main():
    for _ in range({times}):
        os.kill(os.getpid(), signal.SIGTERM)
    imported()
dispatcher.cli.main = main
# before
early_signals.os = type("Process", (), {{"getpid": lambda: {pid}}})
__main__.main()
"""
"""The command, which gets the signal after its first line and before its imports."""


def start(*arguments, pid=7, times=1, before=""):
    program = SIGNALLED.format(pid=pid, times=times).replace("# before", before)
    environment = {**clean_environment(), **CREDENTIALS}
    return forked_process.run(["-c", program, *map(str, arguments)], environment, 30)


@pytest.mark.parametrize(("times", "code"), [(1, 0), (2, 130)], ids=["drains", "stops at once"])
def test_a_run_takes_the_signal_when_it_can(tmp_path, times, code):
    """Its exit code is that of a later signal; it has made no ledger and no request."""
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("conversation_id\n1\n")
    ended = start(
        "run", "--source", contacts, "--ledger", tmp_path / "ledger.db", "--campaign", "cart",
        "--platform-url", "http://127.0.0.1:9", "--set", "message.text=Hello", times=times,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"contacts.csv"}


def test_a_signal_that_waits_since_before_the_start_is_taken(tmp_path):
    """An image starts the command with the signal blocked; it is not blocked for long."""
    blocked = "signal.pthread_sigmask(signal.SIG_BLOCK, {15}); os.kill(os.getpid(), 15)"
    ended = start("--version", pid=1, times=0, before=blocked)
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.stdout == ""


def test_other_commands_end(tmp_path):
    """By the signal itself; as PID 1, which a signal does not end, by themselves."""
    assert start("--version").returncode == -signal.SIGTERM
    assert start("explain", "run").returncode == -signal.SIGTERM
    assert start("--version", pid=1).returncode == 128 + signal.SIGTERM
