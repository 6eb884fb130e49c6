"""The last contacts of a campaign: what took no effect is proved absent without later messages."""

import json
import time
from pathlib import Path

import pytest

from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_metrics_match,
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    play,
)

CONTACTS = 360
ABSENT, FOUND = 40, 20
"""Sends of the scenario without an effect, and those whose answer alone got lost."""
SETTINGS = {
    "platform.requests_per_minute": 6000,
    "platform.window_seconds": 4,
    "platform.timeout_seconds": 1,
    "reconcile.max_effect_delay_seconds": 1,
    "reconcile.max_lag_seconds": 2,
    "reconcile.clock_skew_seconds": 1,
    "reconcile.look_seconds": 0.5,
}
BOUND = 5.0
"""Seconds from a send to the time by which its message is shown."""
FEWEST = 5
"""Contacts in doubt for each look back, at least."""


def without_traffic(folder: Path, *, availability_lag: float = 4.0) -> Path:
    """Write the scenario without guests who answer and without other people."""
    text = Path("config/sandbox/absence.toml").read_text()
    text = text.replace("answer_share = 0.1", "answer_share = 0.0")
    text = text.replace("others_seconds = 2.0", "others_seconds = 0.0")
    path = folder / "quiet.toml"
    path.write_text(
        text.replace(
            "availability_lag_seconds = 4.0", f"availability_lag_seconds = {availability_lag}"
        )
    )
    return path


def look_backs(played):
    counted = played.metrics.series("dispatcher.api.requests", "endpoint", "status")
    return sum(number for (endpoint, _), number in counted.items() if endpoint == "look_back")


@pytest.mark.parametrize("dialect", ["genesys"], indirect=True)
def test_nobody_is_left_in_doubt_where_records_lag_within_the_bounds(tmp_path, dialect):
    """Answers of guests, or conversations of others, are the proof; one look back for many."""
    with play(tmp_path, "absence", CONTACTS, SETTINGS, dialect=dialect) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        assert_each_ends_as_the_table_says(played)
        assert_metrics_match(played)
        made = played.metrics.series("dispatcher.in_doubt", "resolution")
        assert made["absent",] == ABSENT
        assert made["found",] >= FOUND  # more, if a busy machine makes answers late
        assert made["resent",] == made["parked",] == 0
        assert look_backs(played) <= (made["absent",] + made["found",]) / FEWEST


def test_the_statement_of_the_platform_is_enough(tmp_path):
    """Nobody else is on the platform; it states up to when its records are complete."""
    quiet = without_traffic(tmp_path)
    with play(tmp_path, quiet, CONTACTS // 4, SETTINGS, dialect="genesys") as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_nobody_twice_nobody_missing(played)
        assert_each_ends_as_the_table_says(played)
        assert played.sandbox.counts()["answers"]["availability"]["200"] > 0


def status_of(played, *more):
    command = ["-m", "dispatcher", "status", "--ledger", str(played.ledger), *more]
    return forked_process.run(command, clean_environment(), 20).stdout


def when_all_others_are_found(played):
    """Return the status when only those without an effect are in doubt, or after 15 s."""
    for _ in range(15):
        (campaign,) = json.loads(status_of(played, "--json"))["campaigns"]
        if campaign["in_doubt"]["contacts"] <= ABSENT // 4:
            break
        time.sleep(1.0)
    return campaign


def test_where_nothing_proves_it_the_status_says_what_is_waited_for(tmp_path):
    """Nobody answers, so the contacts wait: until when, and when they are parked."""
    quiet = without_traffic(tmp_path)
    with play(tmp_path, quiet, CONTACTS // 4, SETTINGS) as played:
        running = played.start()
        try:
            time.sleep(BOUND + 4.0)
            campaign = when_all_others_are_found(played)
            shown = " ".join(status_of(played).split())
        finally:
            running.terminate()
            _, words = running.communicate(20)
        assert running.poll() == 0, words
        doubts, now = campaign["in_doubt"], time.time()
        left = played.status_counts()["in_doubt", None]
        assert doubts["contacts"] == left > 0
        assert now - 60 < doubts["last_sent"] < doubts["records_until"] < now
        assert doubts["records_until"] >= doubts["last_sent"] + BOUND
        assert doubts["records_reach"] < doubts["records_until"]
        assert doubts["next_look"] > now - 60
        assert doubts["parked_at"] > now + 80_000
        assert f"{left} in doubt: waiting until the platform's records reach 20" in shown
        assert "if no proof comes" in shown
        assert f"{left} in doubt: the next run looks for them." in " ".join(
            status_of(played).split()
        )
