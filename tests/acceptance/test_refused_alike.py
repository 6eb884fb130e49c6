"""Contacts that are refused alike, through the installed command: nothing final, nobody lost."""

import json
import time

from dispatcher.domain.status import Status
from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.ledger_reader import LedgerReader
from tests.support.scenario_runner import play

QUICKLY = {"engine.wait_limit_seconds": 1, "engine.probe_seconds": 30}
COUNT = 600
WORLD = "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n[world.shares]\n"


def refusals(played):
    """Sends and state checks that the platform refused, by its own counts."""
    answers = played.sandbox.counts()["answers"]
    return sum(
        number
        for endpoint in ("check", "notify", "open")
        for status, number in answers.get(endpoint, {}).items()
        if status in {"400", "404"}
    )


def halts(played):
    lines = map(json.loads, played.log.read_text().splitlines())
    return [line["detail"] for line in lines if line["event"] == "run.halted"]


def wait_until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def operate(played, *arguments, code=0):
    command = ["-m", "dispatcher", *arguments, "--ledger", str(played.ledger)]
    done = forked_process.run(command, clean_environment())
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def check_online(played):
    """What ``check --online`` says of the sender and the source, and its exit code."""
    command = ["check" if part == "run" else part for part in played.command("--online")]
    done = forked_process.run(command, {**clean_environment(), **played.environment})
    found = [line for line in done.stdout.splitlines() if line[6:].startswith(("sender", "source"))]
    return [line[:4].strip() for line in found], done.returncode


def test_the_check_finds_a_wrong_sender_and_a_foreign_list(tmp_path):
    scenario = tmp_path / "ended.toml"
    scenario.write_text(WORLD + "ended = 1\n")
    with play(tmp_path, scenario, 20, QUICKLY, dialect="genesys") as played:
        assert check_online(played) == (["ok", "ok"], 0)
        rows = played.contacts.read_text().replace("ended-", "gone-")
        played.contacts.write_text(rows)
        played.settings["platform.from_address"] = "deployment-l"
        assert check_online(played) == (["FAIL", "FAIL"], 5)


def test_a_wrong_sender_costs_nobody_the_message(tmp_path):
    """Killed and started again it is halted still; with the sender mended all are sent."""
    scenario = tmp_path / "ended.toml"
    scenario.write_text(WORLD + "ended = 1\n")
    with play(tmp_path, scenario, COUNT, QUICKLY, dialect="genesys") as played:
        right = dict(played.settings)
        played.settings["platform.from_address"] = "deployment-l"
        running = played.start()
        wait_until(lambda: played.log.exists() and halts(played))
        running.kill()
        running.communicate(20)
        ended = played.run()
        assert ended.returncode == 11, ended.stderr
        assert "platform.from_address" in halts(played)[-1]
        assert refusals(played) <= 60
        assert {status for status, _ in played.settled().values()} <= {"ready", "claimed"}
        played.settings = right
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert played.status_counts() == {("opened", "delivered"): COUNT}
        assert len(played.sandbox.effects()) == COUNT


def test_a_person_says_that_the_refusals_are_the_contacts_own(tmp_path):
    """Then they are final, and can be replayed."""
    scenario = tmp_path / "gone.toml"
    scenario.write_text(WORLD + "gone = 1\n")
    with play(tmp_path, scenario, 5, QUICKLY) as played:
        running = played.start()
        wait_until(lambda: played.log.exists() and halts(played))
        assert "is resumed" in operate(played, "resume", "--suspicious")

        def rejected():
            with LedgerReader(played.ledger, "play") as reader:
                return sum(1 for _ in reader.contacts(Status.REJECTED))

        wait_until(lambda: rejected() == 5)
        running.terminate()
        running.communicate(20)
        assert "no dispatcher is running" in operate(played, "resume", "--suspicious", code=2)
        assert "5 contacts replayed" in operate(
            played, "rejected", "replay", "--reason", "conversation_gone", "--yes"
        )
        assert rejected() == 0
        assert played.status_counts() == {("ready", None): 5}
