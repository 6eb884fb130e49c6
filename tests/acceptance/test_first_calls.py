"""First calls without a state check: what the installed command saves, and what a change costs."""

import json

from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    play,
)

LEARN = {
    "platform.first_call": "learn",
    "source.alike_columns": '["session_status"]',
    "source.age_column": "session_ended_at",
}
MOST_REFUSED = 120
HALF = "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n[world.shares]\nended = 1\nactive = 1\n"


def unchecked(played):
    """The sends without a state check, as the metrics have them."""
    played.metrics.settle()
    return played.metrics.series("dispatcher.unchecked_sends", "step", "answer")


def test_a_world_that_flips_in_mid_run(tmp_path):
    """All sessions are ended, then all of them are open: nobody is missing, few are refused."""
    with play(tmp_path, "flip", 700, LEARN, with_sessions=True) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        counts, sends = played.sandbox.counts(), unchecked(played)
        refused = counts["causes"]["previous_open"]["open"]
        assert 0 < refused <= MOST_REFUSED
        assert sends["open", "refused"] == refused
        ends = played.status_counts()
        assert ends["opened", "delivered"] + ends["notified", "delivered"] == 700
        assert ends["notified", "delivered"] > 300
        # a send that the state rules out is no conflict that pages anybody
        assert not played.metrics.total("dispatcher.closed_session_conflicts")
        # lineage: no state was read for those that were opened at once
        rows = played.lineage().values()
        assert sum(row.state_seen is None for row in rows) == sends["open", "accepted"] > 250
        assert all(row.state_at is None for row in rows if row.state_seen is None)
        assert "without a state check" in ended.stderr + ended.stdout
        key = next(row.contact_key for row in rows if row.state_seen is None)
        command = ["-m", "dispatcher", "explain", key, "--ledger", str(played.ledger), "--json"]
        shown = forked_process.run(command, clean_environment(), 30.0)
        story = json.loads(shown.stdout)[0]["story"]
        (entry,) = [entry for entry in story if entry["what"] == "unchecked"]
        assert (entry["decision"], entry["means"]) == ("open", "no state was read")


def test_half_ended_and_half_open(tmp_path):
    """Where the row decides who the person is, each message takes one request."""
    settings, path = {**LEARN, "rules.identity": "row"}, tmp_path / "half.toml"
    path.write_text(HALF)
    with play(tmp_path, path, 400, settings, with_sessions=True) as played:
        assert played.run().returncode == 0
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        assert_each_ends_as_the_table_says(played)
        answers = played.sandbox.counts()["answers"]
        requests = sum(sum(answers.get(call, {}).values()) for call in ("check", "notify", "open"))
        assert requests <= 1.05 * 400
