"""What is left to other programs that share the quota."""

from dispatcher.pacing.other_usage import OtherUsage


def test_little_use_by_others_is_taken_for_a_miscount():
    others = OtherUsage(600)
    others.record(17, exhausted=False)
    others.amend(17)
    assert others.expected(0, 1.0, 1.0) == 0


def test_what_others_take_of_every_window_is_kept_for_them_almost_to_the_end():
    others = OtherUsage(600)
    for _ in range(2):
        others.record(300, exhausted=False)
    assert others.expected(0, 0.2, 0.2) == 300
    assert others.expected(300, 0.2, 0.2) == 0
    assert others.expected(0, 0.01, 0.01) < 50


def test_others_that_found_nothing_left_are_left_more():
    others = OtherUsage(600)
    others.record(100, exhausted=True)
    assert others.expected(0, 1.0, 1.0) == 190


def test_use_that_is_reported_late_counts_for_its_own_window():
    others = OtherUsage(600)
    others.record(0, exhausted=False)
    others.amend(300)
    assert others.expected(0, 1.0, 1.0) == 300
