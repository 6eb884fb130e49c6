"""What a plan and a dispatch return, from what they found."""

from dispatcher.api import tables
from dispatcher.api.options import PreparedRows
from dispatcher.api.reading import read_outcomes
from dispatcher.api.results import DispatchResult, Ending, PlanResult
from dispatcher.app import RunResult
from dispatcher.app.foreseen_halt import sentence
from dispatcher.app.plan_figures import duration, report_as_json
from dispatcher.domain.contact import Contact
from dispatcher.domain.status import Status
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.dry_run import DryRunReport
from dispatcher.sources.memory.row_source import RowOutcomes

_SENT = (Status.NOTIFIED, Status.OPENED)


def plan_result(prepared: PreparedRows, found: DryRunReport) -> PlanResult:
    """Return the plan of a dry run."""
    settings = prepared.settings
    seconds = duration(found, settings)
    report = report_as_json(settings, found, seconds, SystemClock().time())
    outcomes, requests = tables.plan_tables(report)
    # rows that a ledger has read to their end before are not read again, and are duplicates
    duplicates = found.progress.duplicates
    if prepared.built is not None:
        duplicates = _contacts(prepared.built) - found.progress.contacts
    return PlanResult(
        settings.campaign,
        found.progress.contacts,
        duplicates,
        seconds.estimate,
        None if found.halt is None else sentence(found.halt),
        outcomes,
        requests,
        tables.rejected_table(() if prepared.built is None else prepared.built.outcomes),
        report,
    )


def dispatch_result(prepared: PreparedRows, run: RunResult, seconds: float) -> DispatchResult:
    """Return what a run did, with the outcome of each row that a program gave for it."""
    campaign = prepared.settings.campaign
    snapshot = run.snapshots[campaign]
    outcomes = () if prepared.built is None else prepared.built.outcomes
    contacts, links = read_outcomes(prepared.settings) if outcomes and run.totals else ({}, {})
    rows = tables.outcome_table(outcomes, contacts, links)
    duplicates = snapshot.duplicates
    if prepared.built is not None:
        unread = rows.column("outcome").to_pylist().count(tables.NOT_READ)
        duplicates = _contacts(prepared.built) - snapshot.admitted - unread
    return DispatchResult(
        campaign,
        Ending.STOPPED if run.ending is None else Ending(run.ending),
        sum(number for (status, _), number in snapshot.settled.items() if status in _SENT),
        snapshot.admitted,
        duplicates,
        sum(snapshot.scope_errors.values()),
        sum(snapshot.closed_session_conflicts.values()),
        sum(snapshot.retry_loops.values()),
        [*map(str, snapshot.halts)],
        seconds,
        rows,
        tables.rejected_table(outcomes),
    )


def _contacts(built: RowOutcomes) -> int:
    return sum(isinstance(outcome, Contact) for outcome in built.outcomes)
