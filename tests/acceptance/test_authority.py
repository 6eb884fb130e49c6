"""What the client may do: told at the start and by `check --online`, and by a 403 in mid-run."""

import json

import pytest

from tests.acceptance.test_scenarios import READ, WRITE, assert_all_agree
from tests.support import forked_process
from tests.support.scenario_runner import (
    CREDENTIALS,
    assert_each_ends_as_the_table_says,
    play,
)

SEND = "conversation:message:create"
CONFIG = """
campaign = "play"
[message]
text = "Hello"
[source]
path = "{contacts}"
[platform]
base_url = "{url}"
"""


def lines(played, event):
    """The log's lines of one event."""
    every = [json.loads(line) for line in played.log.read_text().splitlines()]
    return [line for line in every if line["event"] == event]


def check_online(played):
    """Run `check --online` against the sandbox."""
    config = played.folder / "check.toml"
    config.write_text(CONFIG.format(contacts=played.contacts, url=played.sandbox.url))
    command = ["-m", "dispatcher", "check", "--config", str(config), "--online"]
    return forked_process.run(command, {**forked_process.clean_environment(), **CREDENTIALS})


def test_a_permission_that_goes_away_in_mid_run_halts_by_its_name_and_resumes(tmp_path):
    """Counted as that and as nothing else; the log names it and where it is granted."""
    with play(tmp_path, "permission-revoked", 600) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_each_ends_as_the_table_says(played)
        assert_all_agree(played)
        scopes = played.metrics.series("dispatcher.scope_errors", "source")
        assert {source for (source,), number in scopes.items() if number} == {"permission"}
        assert played.metrics.total("dispatcher.closed_session_conflicts") == 0
        halted = lines(played, "run.halted")
        assert {line["reason"] for line in halted} == {"permission"}
        assert all(SEND in line["detail"] and "admin pages" in line["detail"] for line in halted)
        assert played.metrics.gauge("dispatcher.halted", "reason:permission") == 0
        assert played.metrics.gauge("dispatcher.halted", "reason:forbidden") == 0


def test_a_permission_that_nobody_grants_ends_the_run_as_halted(tmp_path):
    """Nothing is sent, nobody is rejected, and the exit code says why."""
    scenario = tmp_path / "denied.toml"
    scenario.write_text('[token]\ndeny = "permission"\n[world.shares]\nended = 1\n')
    with play(tmp_path, scenario, 30, {"engine.wait_limit_seconds": 1}) as played:
        ended = played.run(seconds=40)
        assert ended.returncode == 11, ended.stderr
        assert not played.sandbox.effects()
        assert {status for status, _ in played.status_counts()} == {"ready"}
        assert played.metrics.gauge("dispatcher.halted", "reason:permission") == 1


def test_conversations_in_a_division_out_of_reach_are_parked_while_others_pass(tmp_path):
    """Counted as division errors; every other contact is reached."""
    with play(tmp_path, "division", 300) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_each_ends_as_the_table_says(played)
        assert_all_agree(played)
        scopes = played.metrics.series("dispatcher.scope_errors", "source")
        assert {source for (source,), number in scopes.items() if number} == {"division"}


@pytest.mark.parametrize("missing", [False, True])
def test_check_online_tells_what_is_granted_required_and_missing(tmp_path, missing):
    """With where it is granted; what is missing makes the exit code."""
    with play(tmp_path, "scope-missing", 1) as played:
        if not missing:
            played.sandbox.post("scopes", granted=READ + WRITE)
        checked = check_online(played)
        assert checked.returncode == (5 if missing else 0), checked.stderr
        told = dict(line.partition(": ")[::2] for line in checked.stdout.splitlines())
        assert READ[0] in told["ok    granted"]
        assert (WRITE[0] in told["ok    granted"]) != missing
        assert told["ok    required"] == f"scope {WRITE[0]} or {WRITE[1]}"
        assert ("FAIL  scopes" in told) == missing
        if missing:
            assert WRITE[1] in told["FAIL  scopes"]
            assert "the OAuth client's scopes" in told["FAIL  scopes"]


def test_the_start_of_a_run_tells_what_is_missing_and_where_it_is_granted(tmp_path):
    """One line in the log, and no request beside tokens."""
    with play(tmp_path, "scope-missing", 20, {"engine.wait_limit_seconds": 1}) as played:
        ended = played.run(seconds=40)
        assert ended.returncode == 11, ended.stderr
        (told,) = lines(played, "authority")
        assert told["level"] == "warning"
        assert sorted(told["granted"]) == sorted(READ)
        assert told["required"] == [f"scope {WRITE[0]} or {WRITE[1]}"]
        (lack,) = told["missing"]
        assert WRITE[0] in lack["what"]
        assert "admin pages" in lack["where"]
        assert set(played.sandbox.counts()["answers"]) <= {"token"}
