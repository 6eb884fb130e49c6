"""Runs with a ledger in PostgreSQL: killed, cut off, replaced, and with servers that are lost.

`make crash LEDGER=postgres` does all of this many times, in every kind of world. Here each point
and each fault is played once. What the points and the worlds are is the same as for a file.
"""

import warnings

import pytest

from tests.support.crash_faults import REPLICATED
from tests.support.crash_launcher import launching
from tests.support.crash_loss import Loss, lose_commits
from tests.support.crash_play import (
    STALL_TRIES,
    faults_for,
    kill_everywhere,
    play_without_stalls,
    points_for,
)
from tests.support.crash_verdict import Verdict
from tests.support.crash_world import world
from tests.support.servers.shared import on

pytestmark = [pytest.mark.long, on("kills with PostgreSQL"), pytest.mark.timeout(400 * STALL_TRIES)]
PER_CYCLE = 50


@pytest.fixture(scope="module")
def launcher():
    """One process forks the runs of all tests."""
    with launching() as made:
        yield made


def say_again(verdict: Verdict):
    """A world is played again only where the sandbox had no time, and the report has it."""
    warnings.warn(
        f"the sandbox did not run for {verdict.stalled_seconds:.1f} s, so that a world is played "
        f"again: {'; '.join(verdict.problems())}",
        stacklevel=1,
    )


@pytest.mark.parametrize(
    ("points", "replicated"),
    [
        (points_for("glob", "postgres"), False),
        (faults_for("glob", "postgres"), False),
        (sorted(REPLICATED), True),
    ],
    ids=["points", "faults", "failover"],
)
def test_nobody_is_reached_twice_and_nobody_is_lost(tmp_path, launcher, points, replicated):
    """Whatever happens to a run, to its connections and to its server."""
    given = {"per_cycle": PER_CYCLE, "ledger": "postgres"}
    given |= {"replicated": True} if replicated else {}

    def play(folder):
        with world(folder, "glob", launcher, **given) as lived:
            kill_everywhere(lived, points, 1)
            verdict = lived.finish()
            assert lived.killed_at >= set(points)
            assert verdict.contacts == lived.fed
        return verdict

    verdict = play_without_stalls(play, tmp_path, say_again)
    assert not verdict.problems(), verdict.per_million()
    assert verdict.effects > 0


def test_lost_commits_end_the_run_and_are_named(tmp_path, launcher):
    """A standby takes over that was behind: the ledger does not know of messages that were sent."""
    loss = lose_commits(tmp_path, launcher)
    assert not loss.problems
    assert loss.unknown


def test_a_loss_that_is_not_told_is_a_problem():
    """A run that goes on, or that leaves a contact out."""
    assert not Loss(4, 9, {"a"}, {"a", "b"}).problems
    assert Loss(0, 9, {"a"}, {"a"}).problems == ["the run ended with 0"]
    assert Loss(4, 9, {"a", "b"}, {"a"}).problems == ["1 of 2 lost messages are not named"]
    assert Loss(4, 9, set(), set()).problems == ["nothing was lost"]
