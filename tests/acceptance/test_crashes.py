"""Runs that are killed at every point where one can stop, and what the next one makes of it.

`make crash` kills hundreds of runs of one dialect, at every point in every world that has it; and
it has worlds of two campaigns, and of runs that stop between an intent and its request. Here each
point is played at least once, and few of them in several worlds; another dialect is for
`make test-long`.
"""

import os
import signal
import time
import warnings
from collections import defaultdict
from dataclasses import replace

import pytest

from dispatcher.sandbox.stalls import PERIOD_SECONDS
from tests.support.broken_builds import BROKEN
from tests.support.crash_launcher import launching
from tests.support.crash_platform import STALL_SECONDS
from tests.support.crash_play import (
    STALL_TRIES,
    kill_everywhere,
    play_without_stalls,
    points_for,
)
from tests.support.crash_points import DRAIN, FOLDER, KAFKA, POINTS, ROTATION, SQL
from tests.support.crash_verdict import Verdict, compare
from tests.support.crash_world import LAST_RUN_SECONDS, world
from tests.support.ledger_reader import LedgerReader

AT_POINTS, OTHERS = (pytest.mark.xdist_group(name) for name in ("kills at points", "other kills"))
"""Each group has one process that forks its runs: it takes seconds to start."""
PER_CYCLE = 50
CONTACTS = {"messaging": 1500, "genesys": 600}
FILE_POINTS = ("admit.before", "admit.after", "source.batch", "send.left", "settle.before")
FOLDER_POINTS = (*sorted(FOLDER), "admit.after", "send.after", "drain.begun")
KAFKA_POINTS = (*sorted(KAFKA), "source.batch", "admit.before", "admit.after", "settle.after")
SQL_POINTS = (*sorted(SQL), "source.batch", "admit.before", "admit.after")
OF_THE_DIALECT = [
    "check.after", "send.before", "send.left", "send.after", "look.before", "look.after",
]  # fmt: skip
"""Points at which another dialect may matter; there `make crash` plays all, as in the first."""
TELLING = {
    "intent-not-committed": ("send.left", "send.after", "settle.before"),
    "settle-lost": ("settle.after",),
    "place-before-admission": ("admit.after",),
    "power-cut": ("send.left", "send.after", "settle.after"),
    "bound-without-lag": ("send.after",),
    "watermark-is-now": ("send.after",),
}
"""Points at which each broken build does its harm."""
WORLDS = {"bound-without-lag": {"stragglers": True}, "watermark-is-now": {"beyond": True}}
"""The worlds that show what is wrong with a build whose harm is a wrong proof."""
SLOW_HARM = ("bound-without-lag",)
"""A build whose harm takes its stragglers, and several worlds; `make test-long` plays it."""
WRITES_TWICE = ("intent-not-committed", "power-cut", *WORLDS)
"""Builds that write to somebody twice; the others lose somebody."""
HARM_TRIES = 3
"""How often a build with a wrong proof is played: which contacts are hit is a matter of chance."""
NO_END = defaultdict(lambda: LAST_RUN_SECONDS, {"settle-lost": 4.0})
"""Seconds without a message after which a last run is ended; without settles it never ends."""


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


def assert_promise_kept(verdict: Verdict, *, doubt_allowed: bool = False):
    """Nobody twice, nobody lost, and all accounts agree; parked in doubt only beyond the bounds."""
    assert not verdict.problems(doubt_allowed=doubt_allowed), verdict.per_million()
    assert verdict.effects > 0


@pytest.mark.slow
@AT_POINTS
@pytest.mark.timeout(300 * STALL_TRIES)
@pytest.mark.parametrize(
    ("dialect", "source", "points", "random_kills"),
    [
        ("messaging", "glob", points_for("glob"), 1),
        ("messaging", "file", FILE_POINTS, 1),
        ("messaging", "folder", FOLDER_POINTS, 0),
        ("messaging", "kafka", KAFKA_POINTS, 1),
        ("messaging", "sql", SQL_POINTS, 1),
        pytest.param("genesys", "glob", OF_THE_DIALECT, 0, marks=pytest.mark.long),
    ],
    indirect=["dialect"],
)
def test_a_run_that_is_killed_at_any_point_reaches_nobody_twice_and_loses_nobody(
    tmp_path, launcher, dialect, source, points, random_kills
):
    """With faults on, over files, a watched folder, a topic and a table; each point is reached."""
    given = {"per_cycle": PER_CYCLE, "contacts": CONTACTS[dialect], "dialect": dialect}

    def play(folder):
        with world(folder, source, launcher, **given) as lived:
            kill_everywhere(lived, points, random_kills)
            verdict = lived.finish()
            assert lived.killed_at >= set(points)
            assert verdict.contacts == lived.fed
        return verdict

    assert_promise_kept(play_without_stalls(play, tmp_path, say_again))


def test_every_point_is_played():
    """No point has a name alone."""
    assert {
        *points_for("glob"),
        *points_for("glob", "postgres"),
        *FOLDER_POINTS,
        *KAFKA_POINTS,
        *SQL_POINTS,
    } == set(POINTS)
    assert set(points_for("glob")) > ROTATION | DRAIN


@OTHERS
@pytest.mark.parametrize(
    "broken",
    [pytest.param(name, marks=pytest.mark.long if name in SLOW_HARM else ()) for name in BROKEN],
)
def test_the_harness_fails_for_a_broken_build(tmp_path, launcher, broken):
    """An intent, a settle or a batch that is not written, or not synced, is found out."""
    for number in range(HARM_TRIES if broken in WORLDS else 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        verdict = play_broken(folder, launcher, broken, seed=number + 1)
        harm = verdict.twice if broken in WRITES_TWICE else verdict.missing or verdict.unfinished
        if harm:
            break
    assert harm


def play_broken(folder, launcher, broken, seed):
    """Kill a broken build where that does its harm, and compare."""
    given = {"per_cycle": PER_CYCLE, "broken": broken, "seed": seed, **WORLDS.get(broken, {})}
    with world(folder, "glob", launcher, **given) as lived:
        for point in (TELLING[broken] * 3)[: 6 if broken in WORLDS else 3]:
            lived.kill(point, settles=0 if point == "admit.after" else lived.dice.randrange(20))
        if lived.stragglers:
            lived.live()
        verdict = lived.finish(rounds=1, seconds=NO_END[broken])
        assert lived.kills >= 2
    return verdict


@OTHERS
@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_a_power_cut_takes_nothing_that_was_promised(tmp_path, launcher, dialect):
    """The real build survives the power cuts that the one without syncs does not."""
    points = [*TELLING["power-cut"], "group.middle", "group.uncommitted", "intend.after"]
    points = points if dialect == "messaging" else points[:3]
    given = {"per_cycle": PER_CYCLE, "power_cut": True, "dialect": dialect}

    def play(folder):
        with world(folder, "glob", launcher, **given) as lived:
            kill_everywhere(lived, points, 0)
            return lived.finish()

    assert_promise_kept(play_without_stalls(play, tmp_path, say_again))


@OTHERS
@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_beyond_the_bounds_contacts_are_parked_and_nobody_is_reached_twice(
    tmp_path, launcher, dialect
):
    """The platform's records show nothing in time, and effects come later than assumed."""
    points = ["send.left", "send.after", "settle.before"]
    given = {"per_cycle": PER_CYCLE, "beyond": True, "dialect": dialect}
    with world(tmp_path, "glob", launcher, **given) as lived:
        kill_everywhere(lived, points, 1)
        verdict = lived.finish(rounds=1)
        assert_promise_kept(verdict, doubt_allowed=True)
        assert verdict.in_doubt


@OTHERS
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


@OTHERS
def test_a_file_that_changes_between_a_kill_and_the_next_run_is_named(tmp_path, launcher):
    """The next run reads it from the start and says so; nobody is written to again."""
    with world(tmp_path, "file", launcher, per_cycle=PER_CYCLE, contacts=600) as lived:
        assert lived.kill("admit.after", nth=2)
        lived.append(100)
        verdict = lived.finish()
        assert_promise_kept(verdict)
        assert verdict.contacts == lived.fed
        with LedgerReader(lived.ledger.path, "crash") as reader:
            assert [row.reason for row in reader.rejected()] == ["changed"]


@OTHERS
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


def test_a_world_is_played_again_only_where_a_stall_of_the_sandbox_explains_what_is_wrong(
    tmp_path,
):
    """The last try counts as it is; a lost row, and a message from before a stall, always count."""
    stall = (100.0, 101.0)
    effect = {"previousConversationId": None, "conversationId": "a", "time": 101.2}

    def tries(stalls=(stall,), at=101.2, **wrong):
        made = []

        def play(_):
            verdict = Verdict(**wrong)
            verdict.note_stalls(stalls, [{**effect, "time": at}])
            made.append(verdict)
            return verdict

        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        assert play_without_stalls(play, folder, lambda _: None) is made[-1]
        return len(made)

    assert tries() == 1
    assert tries(twice=["a"]) == tries(denied=["a"]) == tries(unfinished=["b"]) == STALL_TRIES
    assert tries(twice=["a", "b"]) == tries(twice=["a"], at=99.0) == 1
    assert tries(missing=["a"]) == tries(twice=["a"], imagined=["a"]) == 1
    assert tries(stalls=[(100.0, 100.4)], twice=["a"], at=100.5) == 1


@OTHERS
def test_the_sandbox_notes_when_it_did_not_run(tmp_path, launcher):
    """A sandbox that is stopped from outside, as by a machine without time for it."""
    with world(tmp_path, "glob", launcher) as lived:
        began = time.time()
        os.kill(lived.sandbox.process.pid, signal.SIGSTOP)
        time.sleep(STALL_SECONDS + 2 * PERIOD_SECONDS)
        os.kill(lived.sandbox.process.pid, signal.SIGCONT)
        time.sleep(2 * PERIOD_SECONDS)
        noted = [stall for stall in lived.sandbox.counts()["stalls"] if stall[1] > began]
        start, end = max(noted, key=lambda stall: stall[1] - stall[0])
        assert end - start > STALL_SECONDS
        assert began - 2 * PERIOD_SECONDS <= start < end <= time.time()
