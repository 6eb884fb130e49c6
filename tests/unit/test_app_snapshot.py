"""What a snapshot of a run says of its condition."""

from types import SimpleNamespace

import pytest

from dispatcher.app.leadership import Leadership
from dispatcher.app.snapshot import SnapshotTaker
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.domain.condition import HEALTHY, Cause, Condition, Finding
from dispatcher.http_server.page.live import _condition
from dispatcher.ports.snapshot import UNKNOWN
from tests.support.least_settings import settings


def taken(monkeypatch, condition, away_since):
    """A snapshot of a run whose condition was judged before, and whose ledger is away or not."""
    telemetry = RunTelemetry(settings(), lambda _: ())
    monkeypatch.setattr(telemetry, "conditions", lambda: {"c1": condition})
    taker = SnapshotTaker(settings(), telemetry, Leadership(None))
    taker.store = SimpleNamespace(away_since=away_since)
    return taker.take()


def judged(cause):
    return Condition(Finding(cause, "evidence"), (), 5.0)


@pytest.mark.parametrize("condition", [HEALTHY, judged(Cause.QUOTA_SHARED)])
def test_while_the_ledger_is_away_what_was_judged_before_does_not_count(monkeypatch, condition):
    """From the first second, and not only when its absence is a condition of its own."""
    snapshot = taken(monkeypatch, condition, 100.0)
    for shown in (snapshot.condition, snapshot.campaigns[0].condition):
        assert (shown.cause, shown.since) == (UNKNOWN, 100.0)
        assert shown.words == "the server of the ledger does not answer"
    page = str(_condition(snapshot.condition))
    assert "good" not in page
    assert "Because the server of the ledger does not answer, since" in page


@pytest.mark.parametrize("cause", [Cause.PLATFORM_DOWN, Cause.LEDGER_AWAY])
def test_a_cause_that_is_graver_than_the_absence_stays(monkeypatch, cause):
    """It is judged without the ledger."""
    assert taken(monkeypatch, judged(cause), 100.0).condition.cause == cause


def test_a_condition_is_as_it_was_judged_while_the_ledger_answers(monkeypatch):
    """With its evidence."""
    assert taken(monkeypatch, judged(Cause.QUOTA_SHARED), None).condition.words == "evidence"
