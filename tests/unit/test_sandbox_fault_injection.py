"""Which requests the faults of the sandbox hit."""

from dispatcher.sandbox.fault_injection import FaultPlan
from dispatcher.sandbox.scenario.model import Fault


def test_faults_come_by_count_time_and_chance_and_the_same_for_one_seed():
    def hits(number, **fields):
        plan = FaultPlan([Fault("slow", ("open",), **fields)], seed=1)
        return [n for n in range(1, number + 1) if plan.draw("open", n / 10)]

    assert hits(10, every=3) == [3, 6, 9]
    assert hits(10, nth=(2, 5)) == [2, 5]
    assert hits(10, from_seconds=0.4, until_seconds=0.6) == [4, 5]
    assert hits(3) == [1, 2, 3]
    assert hits(3, probability=0.0) == []
    assert hits(1000, probability=0.1) == hits(1000, probability=0.1)
    assert 70 < len(hits(1000, probability=0.1)) < 130


def test_the_earlier_rule_wins_and_other_endpoints_are_left_alone():
    plan = FaultPlan([Fault("slow", ("open",), every=2), Fault("cut_body", ("open",))], seed=1)
    assert [plan.draw("open", 0.0).kind for _ in range(4)] == ["cut_body", "slow"] * 2
    assert plan.draw("check", 0.0) is None
