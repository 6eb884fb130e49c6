"""What is told of each of several clients: series, counts, views."""

import io
from dataclasses import replace

from rich.console import Console

from dispatcher.cli import progress, summary
from dispatcher.domain import events as e
from dispatcher.domain.status import HaltReason, ScopeSource, Step
from dispatcher.telemetry.metrics.catalog import PER_CLIENT, halts, tags_of, zeros
from dispatcher.telemetry.stats.as_json import as_json
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import RunStats

NAMES = ("north", "south")
REFUSED = e.ScopeError(ScopeSource.FORBIDDEN, Step.OPEN, "k", "r", client="south")


def answered(client, status="200"):
    return e.Answered(Step.CHECK, status, 0.1, "k", "c", "r", failed=False, client=client)


def gauges():
    each = (e.ClientPace("north", 4.9, 0.5), e.ClientPace("south", 1.0, 0.25))
    return e.Gauges(1, 2, 0.0, 5.9, 0.4, each)


def tally(*facts):
    taken = RunStats(epoch=lambda: 50.0, clients=NAMES)
    for fact in facts:
        taken.emit(fact)
    return taken.snapshot()


def test_series_of_a_client_carry_its_alias_and_no_others_do():
    """The zeros at the start as well; an alias is the operator's word and stays as it is."""
    for key in zeros(NAMES):
        told = [tag for tag in tags_of(key) if tag.startswith("client:")]
        assert told == ([f"client:{key[-1]}"] if key[0] in PER_CLIENT else [])
    assert tags_of(("api.requests", "check", "429", "eu_2")) == [
        "endpoint:check",
        "status:429",
        "client:eu_2",
    ]
    assert all("client" not in tag for key in zeros() for tag in tags_of(key))


def test_what_concerns_the_run_or_a_campaign_is_no_clients_halt():
    """A pause and a stop for failures have no client."""
    whole = {key[1] for key in halts(NAMES) if len(key) == 2}
    assert whole == {HaltReason.PAUSED, HaltReason.FAILURES}
    assert {key[2] for key in halts(NAMES) if len(key) == 3} == set(NAMES)
    assert [len(key) for key in halts()] == [2] * len(HaltReason)


def test_each_client_has_counts_of_its_own():
    """And the run has those of all."""
    seen = tally(
        answered("north"), answered("north"), answered("south", "403"), REFUSED, gauges(),
        e.Throttled(None, 1.0, "", "north"), e.ClosedConflict(Step.OPEN, 409, "k", "r", "north"),
    )  # fmt: skip
    north, south = seen.clients["north"], seen.clients["south"]
    assert (north.requests, north.throttled, north.closed_session_conflicts) == (2, 1, 1)
    assert (south.requests, south.scope_errors, south.quota_used) == (1, 1, 0.25)
    assert (seen.requests_total, seen.throttled) == (3, 1)


def test_a_run_stands_still_only_if_all_its_clients_do():
    """The reason of each is told; the run's own are those for which nobody can go on."""
    one = e.Halted(HaltReason.SCOPE, "", "south")
    seen = tally(one)
    assert seen.halts == {}
    assert seen.clients["south"].halts == {HaltReason.SCOPE: 50.0}
    seen = tally(one, e.Halted(HaltReason.CREDENTIALS, "", "north"))
    assert set(seen.halts) == {HaltReason.SCOPE, HaltReason.CREDENTIALS}
    seen = tally(
        one, e.Halted(HaltReason.CREDENTIALS, "", "north"), e.Resumed(HaltReason.SCOPE, 1, "south")
    )
    assert seen.halts == {}
    assert seen.clients["south"].halts == {}


def test_what_a_client_did_for_several_campaigns_is_added_up():
    """A halt is told to every campaign, and counts once."""
    halted = e.Halted(HaltReason.SCOPE, "", "south")
    carts, questions = tally(answered("north"), halted), tally(answered("north"), halted)
    whole = merge_snapshots([carts, questions])
    assert whole.clients["north"].requests == 2
    assert whole.clients["south"].halts == {HaltReason.SCOPE: 50.0}
    assert whole.halts == {}


def test_the_status_has_clients_only_where_there_are_several():
    """For one client it is as it always was."""
    told = as_json(tally(gauges(), e.Halted(HaltReason.SCOPE, "", "south")))
    assert told["clients"]["south"]["halted_since"] == {"scope": 50.0}
    assert told["clients"]["north"]["pace"] == 4.9
    alone = RunStats()
    alone.emit(replace(gauges(), clients=()))
    assert "clients" not in as_json(alone.snapshot())
    assert "clients" not in as_json(alone.snapshot())["gauges"]


def shown(draw):
    console = Console(file=io.StringIO(), width=120)
    draw(console)
    return console.file.getvalue()


def test_the_views_tell_which_client_is_halted_and_why():
    """The line, the panel and the summary; the run itself is not called halted."""
    snapshot = tally(answered("south"), gauges(), e.Halted(HaltReason.SCOPE, "", "south"))
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
