"""The length of the platform's windows, and when they begin, from what answers show."""

import pytest

from dispatcher.pacing.window_timing import WindowLength, WindowPhase


def test_a_boundary_narrows_with_evidence_of_any_window():
    boundary = WindowPhase(60.0)
    boundary.narrow(100.0, 103.0)
    boundary.narrow(221.0, 225.0)
    assert boundary.boundary_near(160.0) == pytest.approx(162.0, abs=0.1)
    assert boundary.width == pytest.approx(2.0, abs=0.1)


def test_evidence_that_contradicts_replaces_it():
    boundary = WindowPhase(60.0)
    boundary.narrow(100.0, 101.0)
    boundary.narrow(180.0, 181.0)
    assert boundary.boundary_near(180.0) == pytest.approx(180.5)


def test_evidence_wider_than_a_window_gives_way_to_narrower():
    boundary = WindowPhase(2.0)
    boundary.narrow(0.0, 4.0)
    boundary.narrow(0.0, 3.0)
    boundary.narrow(1.0, 1.5)
    boundary.narrow(0.0, 5.0)
    assert boundary.boundary_near(3.0) == pytest.approx(3.25)


def boundaries(length, *times, reset, width=0.1):
    for time in times:
        length.record_boundary((time, time + width), reset, expected=True)


@pytest.mark.parametrize("reset", [60, 59, 61], ids=["exact", "down", "up"])
def test_the_configured_length_is_kept_while_the_platform_does_not_contradict_it(reset):
    length = WindowLength(60.0)
    for elapsed in range(60):
        length.record_reset(60 - elapsed)
    boundaries(length, 60.0, 120.02, 239.98, reset=reset)
    assert length.seconds == 60.0
    assert length.is_exact


@pytest.mark.parametrize("reset", [2, 1], ids=["up", "down"])
def test_shorter_windows_are_learnt_from_two_boundaries(reset):
    length = WindowLength(60.0)
    boundaries(length, 5.0, 7.0, reset=reset)
    assert length.seconds == 2.0


def test_longer_windows_are_learnt_from_a_longer_reset_and_then_from_boundaries():
    length = WindowLength(2.0)
    length.record_reset(4)
    assert length.seconds == 2.0, "one answer alone may be wrong"
    length.record_reset(4)
    assert length.seconds == 4.0
    assert not length.is_exact
    boundaries(length, 10.0, 17.3, reset=8)
    assert length.seconds == pytest.approx(7.3, abs=0.1)
    assert length.is_exact


def test_windows_between_boundaries_that_were_missed_are_counted():
    length = WindowLength(60.0)
    boundaries(length, 0.0, 4.0, 6.0, 12.0, reset=2)
    assert length.seconds == 2.0


def test_a_fall_before_the_reported_end_of_the_window_does_not_shorten_it():
    length = WindowLength(60.0)
    boundaries(length, 60.0, reset=60)
    length.record_boundary((90.0, 90.1), 30, expected=False)
    boundaries(length, 120.0, 180.0, reset=60)
    assert length.seconds == 60.0


def test_a_boundary_between_distant_samples_shows_little():
    length = WindowLength(60.0)
    length.record_boundary((10.0, 1000.0), 45, expected=True)
    assert length.seconds == 60.0


def test_windows_that_change_are_learnt_again():
    length = WindowLength(60.0)
    boundaries(length, 0.0, 2.0, 4.0, reset=2)
    length.record_reset(60)
    length.record_reset(60)
    assert length.seconds >= 59
    boundaries(length, 65.0, 125.0, 185.0, reset=60)
    assert length.seconds == 60.0
