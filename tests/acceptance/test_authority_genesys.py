"""Scopes, permissions and divisions in the dialect `genesys`: asked for, and named by a 403."""

import time

import pytest

from tests.acceptance.test_authority import SEND, lines
from tests.acceptance.test_scenarios import assert_all_agree
from tests.support.dialects import about_contacts
from tests.support.scenario_runner import assert_each_ends_as_the_table_says, play

SCENARIO = """
seed = 3
[rate]
allowed = 2000
window_seconds = 2.0
{token}
[[event]]
after_effects = 100
action = "revoke"
{what}
[[event]]
after_effects = 100
delay_seconds = 2.0
action = "grant"
{what}
[world.shares]
ended = 1
active = 1
"""


@pytest.mark.parametrize(
    ("what", "source", "reason"),
    [
        (f'permissions = ["{SEND}"]', "permission", "permission"),
        ('divisions = ["division-home"]', "division", "division"),
        ('scopes = ["conversations", "messaging"]', "forbidden", "scope"),
    ],
    ids=["permission", "division", "scope"],
)
def test_what_goes_away_in_mid_run_halts_by_its_name_and_resumes(tmp_path, what, source, reason):
    """Each is counted as itself alone; the log names it and the admin page."""
    scenario = tmp_path / "revoked.toml"
    scenario.write_text(SCENARIO.format(what=what, token=""))
    with play(tmp_path, scenario, 400, dialect="genesys") as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_each_ends_as_the_table_says(played)
        assert_all_agree(played)
        scopes = played.metrics.series("dispatcher.scope_errors", "source")
        assert {each for (each,), number in scopes.items() if number} == {source}
        halted = lines(played, "run.halted")
        assert {line["reason"] for line in halted} == {reason}
        assert all("Admin > " in line["detail"] for line in halted)
        (told,) = lines(played, "authority")
        assert "organisation" in told["about"]
        assert f"permission {SEND}" in told["required"]


def test_a_client_without_a_role_sends_nothing_until_it_has_one(tmp_path):
    """The token tells it at the start: no request about a contact is made in vain."""
    scenario = tmp_path / "no-role.toml"
    scenario.write_text(
        "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n"
        "[token]\ndivisions = []\n[world.shares]\nended = 1\n"
    )
    with play(tmp_path, scenario, 20, dialect="genesys") as played:
        process = played.start("--once")
        ends = time.monotonic() + 30
        while played.metrics.gauge("dispatcher.halted", "reason:permission") != 1:
            assert time.monotonic() < ends, "not halted"
            time.sleep(0.1)
        time.sleep(1)
        assert not about_contacts(played.sandbox.counts()["answers"])
        played.sandbox.post("roles", divisions=["division-home"])
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert_each_ends_as_the_table_says(played)
