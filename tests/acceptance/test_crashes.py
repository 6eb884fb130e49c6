"""Runs that are killed at every point where one can stop, and what the next one makes of it.

`make crash` plays all worlds in both dialects, and two campaigns and late records beside them; here
each world is played in one, and each point in the world that has it, not in all.
"""

import os
import signal
import time
from collections import defaultdict
from dataclasses import replace

import pytest

from dispatcher.ledgers.read.reader import LedgerReader
from dispatcher.sandbox.stalls import PERIOD_SECONDS
from tests.support.broken_builds import BROKEN
from tests.support.crash_launcher import launching
from tests.support.crash_platform import STALL_SECONDS
from tests.support.crash_points import DRAIN, FOLDER, POINTS, ROTATION
from tests.support.crash_verdict import Verdict, compare
from tests.support.crash_world import (
    LAST_RUN_SECONDS,
    kill_everywhere,
    play_within_bounds,
    points_for,
    world,
)

PER_CYCLE = 50
CONTACTS = {"messaging": 1500, "genesys": 600}
FILE_POINTS = ("admit.before", "admit.after", "source.batch", "send.left", "settle.before")
FOLDER_POINTS = (*sorted(FOLDER), "admit.after", "drain.begun")
OF_THE_DIALECT = [
    "check.after", "send.before", "send.left", "send.after", "look.before", "look.after",
]  # fmt: skip
"""Points at which another dialect may matter; there `make crash` plays all, as in the first."""
TELLING = {
    "intent-not-committed": ("send.left", "send.after", "settle.before"),
    "settle-lost": ("settle.after",),
    "position-before-admission": ("admit.after",),
    "power-cut": ("send.left", "send.after", "settle.after"),
    "bound-without-lag": ("send.after",),
    "watermark-is-now": ("send.after",),
}
"""Points at which each broken build does its harm."""
WORLDS = {"bound-without-lag": {"stragglers": True}, "watermark-is-now": {"beyond": True}}
"""The worlds that show what is wrong with a build whose harm is a wrong proof."""
NO_END = defaultdict(lambda: LAST_RUN_SECONDS, {"settle-lost": 4.0})
"""Seconds without a message after which a last run is ended; without settles it never ends."""


@pytest.fixture(scope="module")
def launcher():
    """One process forks the runs of all tests."""
    with launching() as made:
        yield made


def assert_promise_kept(verdict: Verdict, *, doubt_allowed: bool = False):
    """Nobody twice, nobody lost, and all accounts agree; parked in doubt only beyond the bounds."""
    assert not verdict.problems(doubt_allowed=doubt_allowed), verdict.per_million()
    assert verdict.effects > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("dialect", "source", "points", "random_kills"),
    [
        ("messaging", "glob", points_for("glob"), 1),
        ("messaging", "file", FILE_POINTS, 1),
        ("messaging", "folder", FOLDER_POINTS, 0),
        ("genesys", "glob", OF_THE_DIALECT, 0),
    ],
    indirect=["dialect"],
)
def test_a_run_that_is_killed_at_any_point_reaches_nobody_twice_and_loses_nobody(
    launcher, dialect, source, points, random_kills
):
    """With faults on, over a file, rotated files and a watched folder; each point is reached."""
    given = {"per_cycle": PER_CYCLE, "contacts": CONTACTS[dialect], "dialect": dialect}

    def play(folder):
        with world(folder, source, launcher, **given) as lived:
            kill_everywhere(lived, points, random_kills)
            verdict = lived.finish()
            assert lived.killed_at >= set(points)
            assert verdict.contacts == lived.fed
        return verdict

    assert_promise_kept(play_within_bounds(play))


def test_every_point_is_played():
    """No point has a name alone."""
    assert {*points_for("glob"), *FOLDER_POINTS} == set(POINTS)
    assert set(points_for("glob")) > ROTATION | DRAIN


@pytest.mark.parametrize("broken", BROKEN)
def test_the_harness_fails_for_a_broken_build(tmp_path, launcher, broken):
    """An intent, a settle or a batch that is not written, or not synced, is found out."""
    given = {"per_cycle": PER_CYCLE, "broken": broken, **WORLDS.get(broken, {})}
    with world(tmp_path, "glob", launcher, **given) as lived:
        for point in (TELLING[broken] * 3)[:6]:
            lived.kill(point, settles=0 if point == "admit.after" else lived.dice.randrange(20))
        if lived.stragglers:
            lived.live()
        verdict = lived.finish(rounds=1, seconds=NO_END[broken])
        assert lived.kills >= 3
        assert verdict.twice or verdict.lost
        if broken in ("intent-not-committed", "power-cut", *WORLDS):
            assert verdict.twice
        else:
            assert verdict.missing or verdict.unfinished


@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_a_power_cut_takes_nothing_that_was_promised(launcher, dialect):
    """The real build survives the power cuts that the one without syncs does not."""
    points = [*TELLING["power-cut"], "group.middle", "group.uncommitted", "intend.after"]
    points = points if dialect == "messaging" else points[:3]
    given = {"per_cycle": PER_CYCLE, "power_cut": True, "dialect": dialect}

    def play(folder):
        with world(folder, "glob", launcher, **given) as lived:
            kill_everywhere(lived, points, 0)
            return lived.finish()

    assert_promise_kept(play_within_bounds(play))


@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_beyond_the_bounds_contacts_are_parked_and_nobody_is_reached_twice(launcher, dialect):
    """The platform's records show nothing in time, and effects come later than assumed."""
    points = ["send.left", "send.after", "settle.before"]
    given = {"per_cycle": PER_CYCLE, "beyond": True, "dialect": dialect}

    def play(folder):
        with world(folder, "glob", launcher, **given) as lived:
            kill_everywhere(lived, points, 1)
            return lived.finish(rounds=1)

    verdict = play_within_bounds(play, doubt_allowed=True)
    assert_promise_kept(verdict, doubt_allowed=True)
    assert verdict.in_doubt


def test_the_comparison_finds_every_kind_of_difference(tmp_path, launcher):
    """A message more or less, one in another conversation, a contact that is not there."""
    with world(tmp_path, "glob", launcher) as lived:
        assert_promise_kept(lived.finish())
        effects, rows = lived.sandbox.effects(), list(lived.rows())
        notified = next(effect for effect in effects if effect["kind"] == "notified")
        linked = next(effect for effect in effects if effect["kind"] == "linked")
        others = [effect for effect in effects if effect is not linked]

        def found(seen, wanted=rows):
            return compare(lived.ledger, lived.campaigns, wanted, seen)

        (gone,) = found(others).imagined
        assert gone == linked["previousConversationId"]
        assert found([*others, {**linked, "externalContactId": "x-other"}]).imagined == [gone]
        twice = {**notified, "messageId": "another"}
        assert found([*effects, twice]).twice == [notified["conversationId"]]
        nobody = {**twice, "conversationId": "nobody"}
        assert found([*effects, nobody]).denied == ["nobody"]
        assert found(effects, [*rows, "absent"]).missing == ["absent"]


def test_the_comparison_names_what_is_wrong():
    """Each problem has a line, and those in doubt are one where they are not allowed."""
    whole = Verdict(contacts=4, effects=4)
    assert not whole.problems(doubt_allowed=False)
    wrong = replace(whole, twice=["a"], denied=["b"], in_doubt=["c", "d"])
    assert wrong.problems(doubt_allowed=True) == ["1 twice: a", "1 denied: b"]
    assert wrong.problems(doubt_allowed=False)[-1] == "2 in doubt: c, d"
    assert wrong.per_million() == (
        "per million contacts: twice 250,000, lost 250,000, in doubt 500,000"
    )


def test_a_file_that_changes_between_a_kill_and_the_next_run_is_named(tmp_path, launcher):
    """The next run reads it from the start and says so; nobody is written to again."""
    with world(tmp_path, "file", launcher, per_cycle=PER_CYCLE, contacts=1500) as lived:
        assert lived.kill("admit.after", nth=2)
        lived.append(200)
        verdict = lived.finish()
        assert_promise_kept(verdict)
        assert verdict.contacts == lived.fed
        with LedgerReader(lived.ledger, "crash") as reader:
            assert [row.reason for row in reader.rejected()] == ["changed"]


def test_a_half_written_last_line_reaches_nobody_until_it_is_whole(tmp_path, launcher):
    """A run reads the file as far as it is; its last row is rejected, then read when complete."""
    with world(tmp_path, "glob", launcher, per_cycle=PER_CYCLE) as lived:
        path = lived.feed(300)
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.rindex(b",")])
        assert lived.kill("settle.after", settles=20)
        path.write_bytes(whole)
        verdict = lived.finish()
        assert_promise_kept(verdict)
        assert verdict.contacts == lived.fed


def test_a_sandbox_that_is_stopped_shows_that_its_bounds_were_not_kept(tmp_path, launcher):
    """What the comparison finds in such a world says nothing about the runs."""
    with world(tmp_path, "glob", launcher) as lived:
        os.kill(lived.sandbox.process.pid, signal.SIGSTOP)
        time.sleep(STALL_SECONDS + 2 * PERIOD_SECONDS)
        os.kill(lived.sandbox.process.pid, signal.SIGCONT)
        assert not lived.finish(rounds=1).is_within_bounds
