"""A smaller share of the benchmarks: the quota against real windows, and memory that stays flat."""

from benchmarks import memory, quota

SECONDS = 14.0
ALONE = [case for case in quota.CASES if not case.others]
"""What others take is learnt over some windows: the whole benchmark is long enough for that."""


def test_the_whole_quota_is_used_and_none_of_it_wasted():
    """With headers and without, and at 300 a minute no state grows old before its send."""
    outcome = quota.run(SECONDS, seed=3, cases=ALONE)
    for case, seen in zip(ALONE, outcome["cases"], strict=True):
        assert seen["throttled"] <= case.throttled, case.name
        assert seen["state_age_p99"] < quota.STATE_AGE_SECONDS, case.name
        assert seen["used"] >= case.used, case.name


def test_memory_does_not_grow_with_the_source():
    """Ten times the rows, the same peak."""
    assert memory.run((1_000, 10_000))["difference_mb"] < memory.PROMISED_MB
