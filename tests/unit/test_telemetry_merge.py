"""The campaigns of one run, added up."""

import pytest

from dispatcher.app.telemetry import EVERY_CAMPAIGN, RunTelemetry
from dispatcher.domain.events import (
    Answered,
    Gauges,
    Halted,
    Resumed,
    RowsRead,
    ScopeError,
    Settled,
    SourceState,
    Throttled,
    TokenRequested,
)
from dispatcher.domain.status import HaltReason, Reason, ScopeSource, Status, Step
from dispatcher.settings import load
from dispatcher.settings.field_types import _CAMPAIGN
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import RunStats

CHECKED = Answered(Step.CHECK, "200", 0.1, "k", "c", "r", failed=False)
OPENED = Settled("k", "c", Status.OPENED, Reason.DELIVERED, None, None, None, "r", 1.0)


@pytest.fixture
def stats():
    first, second = RunStats(lambda: 10.0, lambda: 100.0), RunStats(lambda: 10.0, lambda: 200.0)
    for one, times in ((first, 1), (second, 2)):
        one.emit(RowsRead(10, 7, 1, 1, 1))
        for _ in range(times):
            one.emit(CHECKED)
            one.emit(OPENED)
            one.emit(ScopeError(ScopeSource.FORBIDDEN, Step.CHECK, "k", "r"))
    second.emit(Throttled(None, 1.0, ""))
    return first, second


def whole(stats):
    return merge_snapshots([one.snapshot() for one in stats])


def test_counts_are_sums(stats):
    """Rows, contacts, requests and failures of a run are those of all its campaigns."""
    found = whole(stats)
    assert (found.rows, found.admitted, found.duplicates) == (20, 14, 2)
    assert found.settled == {(Status.OPENED, Reason.DELIVERED): 3}
    assert found.requests == {(Step.CHECK, "200"): 3}
    assert found.scope_errors == {ScopeSource.FORBIDDEN: 3}
    assert found.throttled == 1
    assert found.rates.settled_10 == sum(one.snapshot().rates.settled_10 for one in stats)


def test_contacts_and_sources_of_all_campaigns():
    """Contacts add up by state and reason; the sources end with the last one."""
    stats = RunStats(lambda: 10.0), RunStats(lambda: 10.0)
    for one, source in zip(
        stats,
        (
            SourceState(3.0, 10, ended=True, lag=7),
            SourceState(None, 0, watched=True, waits_for="a.csv"),
        ),
        strict=True,
    ):
        counts = {("ready", "due"): 2, ("final", "delivered"): 1}
        one.emit(Gauges(0, 2, 0.0, 1.0, 0.0, contacts=counts, source=source))
        one.emit(Halted(HaltReason.SCOPE, "scope"))
        one.emit(TokenRequested("200", 0.1))
        one.emit(CHECKED)
        one.emit(CHECKED)
        one.emit(OPENED)
    found = whole(stats)
    assert found.gauges.contacts == {("ready", "due"): 4, ("final", "delivered"): 2}
    assert found.gauges.source == SourceState(3.0, 10, watched=True, waits_for="a.csv", lag=7)
    assert (found.halts_begun, found.token_requests) == ({HaltReason.SCOPE: 1}, {"200": 1})
    assert found.requests_per_contact == pytest.approx(2.0)


def test_gauges_that_are_the_runs_are_no_sums(stats):
    """Contacts add up; pace and quota are one client's, and the oldest is the oldest of all."""
    assert whole(stats).gauges is None
    stats[0].emit(Gauges(3, 40, 5.0, 12.0, 0.9))
    assert whole(stats).gauges == Gauges(3, 40, 5.0, 12.0, 0.9)
    stats[1].emit(Gauges(1, 2, 50.0, 12.0, 0.9))
    assert whole(stats).gauges == Gauges(4, 42, 50.0, 12.0, 0.9)


def test_a_run_is_halted_when_all_campaigns_are(stats):
    """One that is paused is no halt of the run; all of them are, since the last one was."""
    stats[0].emit(Halted(HaltReason.PAUSED, ""))
    assert whole(stats).halts == {}
    stats[1].emit(Halted(HaltReason.PAUSED, ""))
    assert whole(stats).halts == {HaltReason.PAUSED: 200.0}
    stats[0].emit(Resumed(HaltReason.PAUSED, 1.0))
    assert whole(stats).halts == {}


def test_one_campaign_is_the_run(stats):
    """Nothing is added to what it says."""
    snapshot = stats[0].snapshot()
    assert merge_snapshots([snapshot]) is snapshot


def test_no_campaign_can_be_called_like_all_of_them():
    """What the log says of every campaign is the name of none."""
    assert not _CAMPAIGN.fullmatch(EVERY_CAMPAIGN)


def test_status_of_one_and_of_several(minimal):
    """One campaign is the status; several are beside their sum."""
    one = RunTelemetry(minimal('campaign = "c1"\n[source]\npath = "-"\n')).status(4)
    assert (one["campaign"], one["in_flight"], "campaigns" in one) == ("c1", 4, False)
    listed = '[[campaigns]]\nname = "{0}"\n[campaigns.source]\npath = "{0}*"\n'
    two = RunTelemetry(minimal(listed.format("a") + listed.format("b"))).status(4)
    assert (list(two["campaigns"]), "campaign" in two, two["in_flight"]) == (["a", "b"], False, 4)
    assert two["campaigns"]["a"]["rows"]["read"] == 0


@pytest.fixture
def minimal(tmp_path):
    def make(text):
        path = tmp_path / "dispatcher.toml"
        path.write_text(text + '[platform]\nbase_url = "https://api.example.com"\n')
        secrets = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
        return load(path, env=secrets)

    return make
