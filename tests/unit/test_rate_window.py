"""What is known of the platform's current window."""

from dispatcher.domain.answer import QuotaReading
from dispatcher.pacing.rate_window import QuotaSample, RateWindow


def counted(window, now, sent):
    """What is used of the present window, before a whole one is over."""
    use = window.last_use(now, sent)
    return use.own + use.others


def test_a_count_that_falls_shows_the_boundary_and_the_new_count_holds():
    window = RateWindow(600, 2.0)
    window.record_sent(0.0, 1)
    window.record_sample(QuotaSample(1, 0.0, 0.1, QuotaReading(500, 600, 1)))
    assert counted(window, 0.1, 1) == 500
    window.record_sent(0.5, 2)
    window.record_sample(QuotaSample(2, 0.5, 0.6, QuotaReading(1, 600, 2)))
    assert counted(window, 0.6, 2) == 1
    budget = window.budget(0.6, 2)
    assert budget.quota == 600
    assert 1.3 < budget.seconds < 2.1


def test_an_answer_overtaken_by_a_later_one_changes_nothing():
    window = RateWindow(600, 2.0)
    window.record_sent(0.0, 2)
    window.record_sample(QuotaSample(2, 0.0, 0.1, QuotaReading(500, 600, 1)))
    window.record_sample(QuotaSample(1, 0.0, 0.2, QuotaReading(499, 600, 1)))
    assert counted(window, 0.2, 2) == 500


def test_without_counts_for_two_windows_nothing_is_assumed():
    window = RateWindow(600, 2.0)
    window.record_sent(0.0, 1)
    window.record_sample(QuotaSample(1, 0.0, 0.1, QuotaReading(500, 600, 1)))
    window.record_sent(10.0, 1)
    assert window.budget(10.0, 1) is None
