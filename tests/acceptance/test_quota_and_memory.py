"""A smaller share of the benchmarks: the quota against real windows, and memory that stays flat."""

from benchmarks import memory, quota

SECONDS = 6.0
CASES = [case for case in quota.CASES if not (case.others or case.limiter or case.changes)]
"""What others take is learnt over some windows, and leaders change over some: the benchmark
plays that."""


def test_the_whole_dispatcher_keeps_to_the_quota():
    """With headers and without. A machine that is busy may use less of it, but does not exceed it.

    How much is used is shown in virtual time (`test_pacer_windows.py`), and by the benchmark. A
    process that is stopped for long sends late, and so a few requests in the wrong window.
    """
    outcome = quota.run(SECONDS, seed=3, cases=CASES, at_a_time=len(CASES))
    for case, measured in zip(CASES, outcome["cases"], strict=True):
        assert measured["throttled"] <= 0.01, case.name
        assert measured["used"] > 0 or not case.used, case.name


def test_memory_does_not_grow_with_the_source():
    """Eight times the rows, the same peak."""
    assert memory.run((500, 4_000))["difference_mb"] < memory.PROMISED_MB
