"""What is learnt of the platform's window: its boundary, and the use of others."""

import pytest

from dispatcher.domain.answer import QuotaReading
from dispatcher.pacing.rate_window import OtherUsage, QuotaSample, RateWindow, WindowPhase


def test_a_boundary_narrows_with_evidence_of_any_window():
    boundary = WindowPhase(60.0)
    boundary.see(100.0, 103.0)
    boundary.see(221.0, 225.0)
    assert boundary.near(160.0) == pytest.approx(162.0, abs=0.1)
    assert boundary.width == pytest.approx(2.0, abs=0.1)


def test_evidence_that_contradicts_begins_anew():
    boundary = WindowPhase(60.0)
    boundary.see(100.0, 101.0)
    boundary.see(180.0, 181.0)
    assert boundary.near(180.0) == pytest.approx(180.5)


def test_evidence_wider_than_a_window_gives_way_to_narrower():
    boundary = WindowPhase(2.0)
    boundary.see(0.0, 4.0)
    boundary.see(0.0, 3.0)
    boundary.see(1.0, 1.5)
    boundary.see(0.0, 5.0)
    assert boundary.near(3.0) == pytest.approx(3.25)


def test_little_foreign_use_is_taken_for_a_miscount():
    others = OtherUsage(600)
    others.record(17, exhausted=False)
    others.amend(17)
    assert others.to_come(0, 1.0, 1.0) == 0


def test_what_others_take_of_every_window_is_kept_for_them_almost_to_the_end():
    others = OtherUsage(600)
    for _ in range(2):
        others.record(300, exhausted=False)
    assert others.to_come(0, 0.2, 0.2) == 300
    assert others.to_come(300, 0.2, 0.2) == 0
    assert others.to_come(0, 0.01, 0.01) < 50


def test_others_that_found_nothing_left_are_left_more():
    others = OtherUsage(600)
    others.record(100, exhausted=True)
    assert others.to_come(0, 1.0, 1.0) == 190


def test_use_that_is_told_late_counts_for_its_own_window():
    others = OtherUsage(600)
    others.record(0, exhausted=False)
    others.amend(300)
    assert others.to_come(0, 1.0, 1.0) == 300


def test_a_count_that_falls_tells_the_boundary_and_the_new_count_holds():
    window = RateWindow(600, 2.0)
    window.mark(0.0, 1)
    window.read(QuotaSample(1, 0.0, 0.1, QuotaReading(500, 600, 1)))
    assert window.used(0.1, 1) == 500
    window.mark(0.5, 2)
    window.read(QuotaSample(2, 0.5, 0.6, QuotaReading(1, 600, 2)))
    assert window.used(0.6, 2) == 1
    room = window.budget(0.6, 2)
    assert room.quota == 600
    assert 1.3 < room.seconds < 2.1


def test_an_answer_overtaken_by_a_later_one_changes_nothing():
    window = RateWindow(600, 2.0)
    window.mark(0.0, 2)
    window.read(QuotaSample(2, 0.0, 0.1, QuotaReading(500, 600, 1)))
    window.read(QuotaSample(1, 0.0, 0.2, QuotaReading(499, 600, 1)))
    assert window.used(0.2, 2) == 500


def test_without_counts_for_two_windows_nothing_is_assumed():
    window = RateWindow(600, 2.0)
    window.mark(0.0, 1)
    window.read(QuotaSample(1, 0.0, 0.1, QuotaReading(500, 600, 1)))
    window.mark(10.0, 1)
    assert window.budget(10.0, 1) is None
