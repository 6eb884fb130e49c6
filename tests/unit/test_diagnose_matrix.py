"""The judgement of a world: every way in which its alarms can be wrong is found."""

import dataclasses

import pytest

from tests.diagnose.capture import Agent, Capture, read
from tests.diagnose.faults import FAULTS
from tests.diagnose.matrix import judge
from tests.diagnose.monitor import Monitor, load
from tests.diagnose.report import BEGIN, END, write
from tests.diagnose.run import MONITORS, WORLDS
from tests.diagnose.stage import Stage
from tests.diagnose.world import World

FAULT = World("f", "a fault", 200, monitor="x", cause="x", within=120, fault_at=20)


def monitor(cause, priority=1, **options):
    query = f"max(last_2m):max:dispatcher.condition{{cause:{cause}}} by {{env}} >= 1"
    options = {"thresholds": {"critical": 1}, **options}
    definition = {"name": cause, "type": "query alert", "query": query, "options": options}
    return Monitor(cause, {**definition, "priority": priority})


MONITORS_OF_TWO = (monitor("x"), monitor("y"), monitor("z", priority=3))


def capture(*named, end=200.0):
    """A capture in which the daemon names these causes: (from, to, cause)."""
    lines = [
        (float(second), f"dispatcher.condition:1|g|#env:e,cause:{cause}\n")
        for begin, end_, cause in named
        for second in range(begin, end_, 2)
    ]
    verdicts = [(float(begin), cause) for begin, _, cause in named]
    return Capture("f", end, sorted(lines), verdicts=[(0.0, "ok"), *verdicts])


def mistakes(world, played):
    return judge(world, played, MONITORS_OF_TWO).mistakes


def test_a_fault_with_its_own_alarm_is_right():
    row = judge(FAULT, capture((30, 200, "x")), MONITORS_OF_TWO)
    assert row.mistakes == ()
    assert (row.verdict, row.verdict_after) == ("x", 10)
    assert row.own.shown == "6/6 after 20-70 s"


@pytest.mark.parametrize(
    ("played", "wrong"),
    [
        (capture(), "x fired at 0 of 6 phases"),
        (capture((190, 200, "x")), "x fired at 1 of 6 phases"),
        (capture((100, 200, "x")), "x fired after more than 120 s"),
        (capture((30, 100, "y"), (100, 200, "x")), "y fired, too"),
        (capture((30, 60, "x"), (60, 200, "z")), "the log says z, not x"),
    ],
)
def test_every_other_one_is_wrong(played, wrong):
    assert wrong in mistakes(FAULT, played)


def test_less_urgent_alarms_and_those_that_are_as_true_are_allowed():
    both = capture((30, 150, "x"), (150, 200, "z"))
    assert mistakes(FAULT, both) == ()
    as_true = dataclasses.replace(FAULT, also=frozenset({"y"}))
    assert mistakes(as_true, capture((30, 40, "y"), (40, 200, "x"))) == ()


def test_in_a_healthy_world_not_even_a_less_urgent_one_fires():
    healthy = World("h", "healthy", 200)
    assert mistakes(healthy, capture()) == ()
    assert mistakes(healthy, capture((30, 60, "z"))) == ("z fired, too",)


def test_a_world_without_a_monitor_and_what_went_wrong_in_playing_are_shown():
    other = dataclasses.replace(FAULT, monitor="nothing")
    assert "there is no monitor nothing" in mistakes(other, capture())
    played = capture((30, 200, "x"))
    played.notes.append("a message of the command")
    assert "a message of the command" in mistakes(FAULT, played)


def test_a_verdict_ends_with_the_process():
    played = capture((30, 31, "x"))
    played.exits.append((40.0, 1))
    assert played.longest_verdict(0.0) == "ok"
    assert played.longest_verdict(20.0) in ("ok", "x")
    assert played.longest_verdict(31.0) == "x"
    assert played.longest_verdict(50.0) is None


def test_a_capture_can_be_kept(tmp_path):
    played = capture((30, 60, "x"))
    played.save(tmp_path)
    assert read(tmp_path / "f.json") == played


def test_the_table_of_the_document_is_replaced(tmp_path):
    path = tmp_path / "d.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write([judge(FAULT, capture((30, 200, "x")), MONITORS_OF_TWO)], path)
    text = path.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "| a fault | x (P1) | 6/6 after 20-70 s | x after 10 s |  |" in text


def test_the_worlds_are_those_that_the_project_promises():
    """Eighteen faults and more, with actions that exist and monitors that are shipped."""
    shipped = {one.key for one in load(MONITORS)}
    assert len(FAULTS) >= 18
    assert len(WORLDS) >= len(FAULTS) + 8
    for world in FAULTS:
        assert world.monitor in shipped, world.name
        assert {*world.also} <= shipped
        assert world.within > 0
    for world in WORLDS.values():
        assert all(callable(getattr(Stage, action.what)) for action in world.actions)
        assert all(action.at < world.seconds for action in world.actions)


def test_what_only_a_ledger_on_a_server_has_is_played():
    """Its monitors have a world each, and one without their fault."""
    on_server = [world for world in WORLDS.values() if world.server]
    assert {world.monitor for world in on_server} == {
        "ledger_away", "no_leader", "no_standby", "",
    }  # fmt: skip


@pytest.mark.parametrize(("without", "fires"), [(240, False), (400, True)])
def test_a_standby_that_is_replaced_within_minutes_is_not_missed(without, fires):
    """As in a rollout; the leader counts every 15 seconds, from when it has seen one."""
    counted = [1] * 8 + [0] * (without // 15) + [1] * 8
    lines = [
        (30.0 + 15 * number, f"dispatcher.standbys:{count}|g|#env:e,service:s,campaign:c\n")
        for number, count in enumerate(counted)
    ]
    end = 45 + 15 * len(counted)
    played = Capture("h", float(end), lines)
    (shipped,) = [one for one in load(MONITORS) if one.key == "no_standby"]
    row = judge(World("h", "healthy", end), played, (shipped,))
    assert bool(row.mistakes) is fires


def test_a_second_machine_has_series_of_its_own():
    """A gauge of one series has the value that came last, from whichever daemon."""
    agents = Agent(), Agent("second")
    for agent in agents:
        agent.close()
        agent.datagrams.append((1.0, b"dispatcher.leader:1|g|#env:e\nx:1|c|#env:e,a:b"))
    one, two = (agent.texts() for agent in agents)
    assert one == [(1.0, "dispatcher.leader:1|g|#env:e\nx:1|c|#env:e,a:b")]
    assert two == [(1.0, "dispatcher.leader:1|g|#host:second,env:e\nx:1|c|#host:second,env:e,a:b")]


def test_the_evaluator_reads_every_shipped_monitor():
    """None is left out of the matrix because of the form of its query."""
    empty = Capture("f", 60.0)
    for one in load(MONITORS):
        assert judge(World("h", "h", 60), empty, [one]).mistakes == ()
