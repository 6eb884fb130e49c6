"""Series, counts and views where there are several clients."""

import io
from dataclasses import replace

from rich.console import Console

from dispatcher.cli import progress, summary
from dispatcher.domain import events as e
from dispatcher.domain.status import HaltReason, ScopeSource, Step
from dispatcher.telemetry.metrics.catalog import PER_CLIENT, format_tags, halt_gauges, zero_counts
from dispatcher.telemetry.stats.as_json import as_json
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import RunStats

NAMES = ("north", "south")
REFUSED = e.ScopeError(ScopeSource.FORBIDDEN, Step.OPEN, "k", "r", client="south")


def answered(client, status="200"):
    return e.Answered(Step.CHECK, status, 0.1, "k", "c", "r", failed=False, client=client)


def gauges():
    paces = (e.ClientPace("north", 4.9, 0.5), e.ClientPace("south", 1.0, 0.25))
    return e.Gauges(1, 2, 0.0, 5.9, 0.4, paces)


def snapshot_after(*facts):
    stats = RunStats(epoch=lambda: 50.0, clients=NAMES)
    for fact in facts:
        stats.emit(fact)
    return stats.snapshot()


def test_series_of_a_client_carry_its_alias_and_no_others_do():
    """The zeros at the start as well; an alias is the operator's word and stays as it is."""
    own = {HaltReason.PAUSED, HaltReason.FAILURES, HaltReason.SUSPICIOUS}
    for key in zero_counts(NAMES):
        if key[0] == "halts" and key[1] in own:
            assert len(key) == 2
            continue
        client_tags = [tag for tag in format_tags(key) if tag.startswith("client:")]
        assert client_tags == ([f"client:{key[-1]}"] if key[0] in PER_CLIENT else [])
    assert format_tags(("api.requests", "check", "429", "eu_2")) == [
        "endpoint:check",
        "status:429",
        "client:eu_2",
    ]
    assert all("client" not in tag for key in zero_counts() for tag in format_tags(key))


def test_what_concerns_the_run_or_a_campaign_is_no_clients_halt():
    """A pause, and stops for failures and for refusals that are alike, have no client."""
    whole = {key[1] for key in halt_gauges(NAMES) if len(key) == 2}
    assert whole == {HaltReason.PAUSED, HaltReason.FAILURES, HaltReason.SUSPICIOUS}
    assert {key[2] for key in halt_gauges(NAMES) if len(key) == 3} == set(NAMES)
    assert [len(key) for key in halt_gauges()] == [2] * len(HaltReason)


def test_a_client_has_its_own_counts():
    """And the run has those of all."""
    snapshot = snapshot_after(
        answered("north"), answered("north"), answered("south", "403"), REFUSED, gauges(),
        e.Throttled(None, 1.0, "", "north"), e.ClosedConflict(Step.OPEN, 409, "k", "r", "north"),
    )  # fmt: skip
    north, south = snapshot.clients["north"], snapshot.clients["south"]
    assert (north.requests, north.throttled, north.closed_session_conflicts) == (2, 1, 1)
    assert (south.requests, south.scope_errors, south.quota_used) == (1, 1, 0.25)
    assert (snapshot.requests_total, snapshot.throttled) == (3, 1)


def test_a_run_is_halted_only_if_all_its_clients_are():
    """Each client has its reasons; the run has those of all clients once all are halted."""
    one = e.Halted(HaltReason.SCOPE, "", "south")
    snapshot = snapshot_after(one)
    assert snapshot.halts == {}
    assert snapshot.clients["south"].halts == {HaltReason.SCOPE: 50.0}
    snapshot = snapshot_after(one, e.Halted(HaltReason.CREDENTIALS, "", "north"))
    assert set(snapshot.halts) == {HaltReason.SCOPE, HaltReason.CREDENTIALS}
    snapshot = snapshot_after(
        one, e.Halted(HaltReason.CREDENTIALS, "", "north"), e.Resumed(HaltReason.SCOPE, 1, "south")
    )
    assert snapshot.halts == {}
    assert snapshot.clients["south"].halts == {}


def test_what_a_client_did_for_several_campaigns_is_added_up():
    """A halt is emitted to every campaign, and counts once."""
    halted = e.Halted(HaltReason.SCOPE, "", "south")
    carts, questions = (
        snapshot_after(answered("north"), halted),
        snapshot_after(answered("north"), halted),
    )
    whole = merge_snapshots([carts, questions])
    assert whole.clients["north"].requests == 2
    assert whole.clients["south"].halts == {HaltReason.SCOPE: 50.0}
    assert whole.halts == {}


def test_the_status_has_clients_only_where_there_are_several():
    """For one client it is as it always was."""
    status = as_json(snapshot_after(gauges(), e.Halted(HaltReason.SCOPE, "", "south")))
    assert status["clients"]["south"]["halted_since"] == {"scope": 50.0}
    assert status["clients"]["north"]["pace"] == 4.9
    alone = RunStats()
    alone.emit(replace(gauges(), clients=()))
    assert "clients" not in as_json(alone.snapshot())
    assert "clients" not in as_json(alone.snapshot())["gauges"]


def shown(draw):
    console = Console(file=io.StringIO(), width=120)
    draw(console)
    return console.file.getvalue()


def test_the_views_show_which_client_is_halted_and_why():
    """The line, the panel and the summary; the run itself is not called halted."""
    snapshot = snapshot_after(answered("south"), gauges(), e.Halted(HaltReason.SCOPE, "", "south"))
    assert progress.line(snapshot).endswith("; client south HALTED: scope")
    panel = shown(lambda console: console.print(progress.panel({"c1": snapshot})))
    (line,) = [line for line in panel.splitlines() if "HALTED" in line]
    assert "client south" in line
    assert "25% of its quota" in line
    table = shown(lambda console: summary.show_run(console, snapshot))
    assert "This run, by client" in table
    assert "HALTED: scope" in table


def test_one_client_is_shown_as_before():
    """Its views have no word of clients."""
    alone = RunStats()
    alone.emit(answered(""))
    snapshot = alone.snapshot()
    text = progress.line(snapshot)
    text += shown(lambda console: console.print(progress.panel({"c1": snapshot})))
    text += shown(lambda console: summary.show_run(console, snapshot))
    assert "client" not in text
