"""A copy of a ledger, as installed: refused with what could happen, until a person accepts it."""

import json
import shutil

import pytest

from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.ledgers import of_a_file
from tests.support.scenario_runner import assert_nobody_twice_nobody_missing, play

WORLD = """
[rate]
allowed = 4000
window_seconds = 2.0
[world.shares]
active = 1
ended = 1
"""
COUNT = 30


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "world.toml"
    scenario.write_text(WORLD)
    with play(tmp_path, scenario, COUNT) as each:
        yield each


def operate(*arguments):
    return forked_process.run(["-m", "dispatcher", *arguments], clean_environment())


@of_a_file("a database is copied by the tools of its server")
def test_a_copy_of_a_ledger_sends_nothing_until_a_person_adopts_it(played, tmp_path):
    """The file itself goes on under another name; an old copy in its place does not."""
    assert played.run("--limit", "10").returncode == 0
    old, kept = tmp_path / "old.db", tmp_path / "kept.db"
    shutil.copy2(played.ledger, old)
    assert played.run().returncode == 0
    assert len(played.sandbox.effects()) == COUNT
    played.ledger.rename(kept)
    old.replace(played.ledger)
    refused = played.run()
    assert refused.returncode == 4, refused.stderr
    assert "this is a copy: " in refused.stderr
    assert "--adopt" in refused.stderr
    assert operate("status", "--ledger", str(played.ledger)).returncode == 0
    assert len(played.sandbox.effects()) == COUNT
    kept.replace(played.ledger)
    assert played.run().returncode == 0
    assert_nobody_twice_nobody_missing(played)


@of_a_file("a database is copied by the tools of its server")
def test_a_backup_that_is_put_back_is_a_copy_and_adopted_once(played, tmp_path):
    """With nothing sent since, nobody gets two messages; the log says what was accepted."""
    assert played.run("--limit", "10").returncode == 0
    backup = tmp_path / "backup.db"
    ledger = ["--ledger", str(played.ledger)]
    assert operate("ledger", "backup", str(backup), *ledger).returncode == 0
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    shutil.copy(backup, played.ledger)
    refused = played.run()
    assert (refused.returncode, "it is a backup, made at" in refused.stderr) == (4, True)
    assert len(played.sandbox.effects()) == 10
    assert played.run("--limit", "5", "--adopt").returncode == 0
    assert operate("ledger", "adopt", *ledger).stdout.endswith(
        "is not a copy: nothing was changed.\n"
    )
    assert played.run().returncode == 0
    assert_nobody_twice_nobody_missing(played)
    events = [json.loads(line) for line in played.log.read_text().splitlines()]
    names = [event["event"] for event in events]
    assert (names.count("ledger.created"), names.count("ledger.adopted")) == (1, 1)


def test_a_run_without_a_socket_and_one_without_good_rows(played):
    """No socket is left beside the ledger; rows without an id end with a code of their own."""
    played.settings["control.socket"] = "off"
    assert played.run().returncode == 0
    assert not list(played.folder.glob("*.sock"))
    played.contacts.write_text("conversation_id,first_name\n,Ada\n,Ben\n")
    done = played.run()
    assert done.returncode == 16, done.stderr
    assert "2 rows, 2 of them" in done.stderr
    events = [json.loads(line) for line in played.log.read_text().splitlines()]
    (end,) = [event for event in events if event["event"] == "file.bad_rows"]
    assert (end["rows"], end["reasons"]) == (2, {"no_id": 2})
    assert "Ada" not in played.log.read_text()
