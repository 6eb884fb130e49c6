"""Requests for each contact, over the last five minutes."""

import pytest

from dispatcher.telemetry.stats.request_ratio import SPAN_SECONDS, RequestRatio


class Minutes:
    """A ratio that is asked every two seconds."""

    def __init__(self):
        self.now = 0.0
        self.ratio = RequestRatio(lambda: self.now)

    def last(self, seconds, requests, settled):
        """Let time pass with so many requests and contacts every two seconds."""
        for _ in range(int(seconds / 2)):
            self.now += 2.0
            self.ratio.requests += requests
            self.ratio.settled += settled
            value = self.ratio.value()
        return value


def test_the_last_minutes_alone_count():
    """After five minutes of another ratio nothing is left of the one before."""
    minutes = Minutes()
    assert minutes.last(600, 10, 5) == pytest.approx(2.0)
    assert 2.0 < minutes.last(100, 20, 5) < 4.0
    assert minutes.last(SPAN_SECONDS, 20, 5) == pytest.approx(4.0)


def test_while_no_contact_is_final_all_requests_count():
    """An outage is no division by 0, and no small number."""
    minutes = Minutes()
    assert minutes.ratio.value() == 0.0
    minutes.last(600, 10, 5)
    assert minutes.last(SPAN_SECONDS + 10, 10, 0) == pytest.approx(10 * SPAN_SECONDS / 2, rel=0.05)
    assert minutes.last(SPAN_SECONDS + 10, 0, 0) == 0.0
