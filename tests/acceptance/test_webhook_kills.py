"""Webhooks of runs that are killed, fail or end: each notice arrives, with an id that stays."""

import json
import os
import signal
import time

import pytest

from dispatcher.domain.status import Status
from tests.support import forked_process
from tests.support.broken_environment import FEW_PAGES
from tests.support.ledgers import fetch, of_a_file
from tests.support.scenario_runner import play
from tests.support.servers.hooks import hooks

WORLD = """
seed = 1
[rate]
allowed = 60000
window_seconds = 2.0
[latency.default]
kind = "fixed"
ms = 20
"""
COUNT = 300


@pytest.fixture
def server():
    with hooks() as running:
        yield running


@pytest.fixture
def played(tmp_path, server):
    scenario = tmp_path / "world.toml"
    scenario.write_text(WORLD)
    with play(tmp_path, scenario, COUNT, {"engine.workers": 4}) as made:
        made.config = tmp_path / "hooks.toml"
        made.config.write_text(f'[[sinks]]\nname = "ops"\nkind = "webhook"\nurl = "{server.url}"\n')
        yield made


def command(played, verb):
    line = ["-m", "dispatcher", verb, "--ledger", str(played.ledger)]
    return forked_process.run(line, played.environment | forked_process.clean_environment())


def pause(played, verb="pause"):
    done = command(played, verb)
    assert done.returncode == 0, done.stderr


def await_notice(played, event, seconds=10.0):
    """Wait until a notice is in the ledger: it is written after the command was answered."""
    end = time.monotonic() + seconds
    while not fetch(played.ledger, f"SELECT 1 FROM {{}}notice WHERE event = '{event}'"):
        assert time.monotonic() < end, f"no notice {event} in time"
        time.sleep(0.02)


def kill(running):
    running.kill()
    assert running.wait(10) == -signal.SIGKILL
    running.close()


def events(notices):
    return [(one["event"], one.get("reason") or one["outcome"]) for one in notices]


def test_what_a_killed_run_has_not_posted_the_next_one_posts(played, server):
    """The halt with the id that it had, then the end of the killed run, then its own notices."""
    server.is_away = True
    running = played.start()
    played.sandbox.wait_for_effects(10)
    pause(played)
    first = server.wait(1)[0]
    kill(running)
    posted = len(server.posts)
    server.is_away = False
    pause(played, "resume")
    ended = played.run()
    assert ended.returncode in (0, 10), ended.stderr
    found = server.notices()[posted:]
    assert found[0] == first
    outcome = "done" if ended.returncode == 0 else "deferred"
    assert events(found) == [("halted", "paused"), ("ended", "killed"), ("ended", outcome)]
    assert {one["campaign"] for one in found} == {"play"}
    assert len({one["id"] for one in found}) == 3
    assert played.run().returncode in (0, 10)
    assert len(server.notices()[posted:]) == 4, "only the end of the last run is new"


def test_killed_between_the_post_and_its_answer(played, server):
    """The receiver has the notice already: it comes again with the same id, once."""
    running = played.start()
    played.sandbox.wait_for_effects(10)
    server.on_post = lambda _: os.kill(running.pid, signal.SIGKILL)
    command(played, "pause")  # the run may be killed before it answers
    assert running.wait(20) == -signal.SIGKILL
    running.close()
    server.on_post = lambda _: None
    played.run("--wait-limit", "0.1")
    first, again, *later = server.notices()
    assert first == again
    assert events([first, *later])[:2] == [("halted", "paused"), ("ended", "killed")]
    assert first["id"] not in [one["id"] for one in later]


def test_killed_before_a_server_that_is_not_there(played, server, tmp_path):
    """Nothing was posted at all, and everything arrives later in its order."""
    text = played.config.read_text()
    with hooks() as gone:
        url = gone.url
    played.config.write_text(text.replace(server.url, url))
    running = played.start()
    played.sandbox.wait_for_effects(10)
    pause(played)
    pause(played, "resume")
    await_notice(played, "resumed")
    kill(running)
    played.config.write_text(text)
    played.run("--wait-limit", "0.1")
    found = events(server.notices())
    assert found[:3] == [("halted", "paused"), ("resumed", "paused"), ("ended", "killed")]
    assert len(found) == 4


def test_a_run_that_the_platform_refuses_says_so(played, server):
    """With its exit code and the words of the error, before there is a first contact."""
    played.environment["DISPATCHER_CLIENT_SECRET"] = "wrong-8P"
    ended = played.run()
    assert ended.returncode == 5, ended.stderr
    (notice,) = server.notices()
    assert (notice["event"], notice["outcome"], notice["exit_code"]) == ("ended", "error", 5)
    assert "credentials" in notice["detail"]
    assert "wrong-8P" not in json.dumps(notice)


@of_a_file("the fault is a full disk under the file")
def test_a_run_whose_ledger_fails_says_so(played, server):
    """The notice cannot be written any more, and is posted all the same, with the id of the run."""
    assert played.run("--limit", "20").returncode == 0
    pages = played.ledger.stat().st_size // 4096
    program = FEW_PAGES.format(pages=pages + 4)
    arguments = ["-c", program, *played.command("--once")[2:]]
    environment = forked_process.clean_environment() | played.environment
    done = forked_process.run(arguments, environment)
    assert done.returncode == 4, done.stderr
    assert "the disk is full" in done.stderr
    notice = server.notices()[-1]
    assert (notice["outcome"], notice["exit_code"]) == ("error", 4)
    assert "the disk is full" in notice["detail"]
    assert played.run().returncode in (0, 10)
    repeat = server.notices()[2]
    assert (repeat["outcome"], repeat["id"]) == ("killed", notice["id"])


def test_a_run_that_is_stopped_by_a_signal_says_so(played, server):
    """With the number of contacts of each status."""
    running = played.start()
    played.sandbox.wait_for_effects(10)
    running.terminate()
    running.communicate(30)
    (notice,) = server.notices()
    assert (notice["outcome"], running.returncode) == ("drained", 0)
    counts = {status.value: notice.get(status.value, 0) for status in Status}
    assert counts["notified"] + counts["opened"] >= 10
    assert sum(counts.values()) == len(played.settled())
