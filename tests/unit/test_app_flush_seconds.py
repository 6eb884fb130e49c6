"""How often the metrics of many campaigns leave."""

import pytest

from dispatcher.app.telemetry import flush_seconds


@pytest.mark.parametrize(("campaigns", "seconds"), [(1, 0.5), (10, 0.5), (40, 2.0), (1000, 5.0)])
def test_many_campaigns_send_their_metrics_more_seldom(campaigns, seconds):
    """A hundred campaigns wake no more threads a second than twenty."""
    assert flush_seconds(campaigns) == seconds
