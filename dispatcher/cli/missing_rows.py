"""Whether a run had no good rows to send to, or would have none."""

from collections.abc import Mapping

from dispatcher.app import RunResult
from dispatcher.app.source_check import SourceReport
from dispatcher.cli.formatting import plural
from dispatcher.ports import Totals
from dispatcher.telemetry.stats.run_stats import Snapshot


def missing_rows(result: RunResult, *, limited: bool = False) -> str | None:
    """Return why there was nobody to send to, in words; None if that is not what happened.

    A ``limited`` run may end before it has read every campaign.
    """
    if limited and any(totals.admitted for totals in result.totals.values()):
        return None
    several = len(result.totals) > 1
    for campaign, totals in result.totals.items():
        found = _of_campaign(totals, result.snapshots[campaign])
        if found is not None:
            return f"campaign {campaign}: {found}" if several else found
    return None


def _of_campaign(totals: Totals, snapshot: Snapshot) -> str | None:
    if not totals.rows:
        return "the source has no rows: nothing was sent"
    if not totals.admitted:
        return (
            f"0 of {plural(totals.rows, 'row')} became a contact: nothing was sent "
            f"({_causes(totals)})"
        )
    if snapshot.rejected_rows and not snapshot.admitted and not snapshot.settled_total:
        return (
            f"this run read {plural(snapshot.rows, 'row')}, {snapshot.rejected_rows:,} of them "
            "were rejected, and none became a contact: nothing was sent. `dispatcher rejected "
            "export` writes them to a file"
        )
    return None


def missing_in_source(report: SourceReport) -> str | None:
    """Return why a run would have nobody to send to, in words; None if it would have somebody.

    What a campaign has sent to before is a good row; so is nothing, once the campaign has begun.
    """
    if report.contacts or report.duplicates or (report.is_begun and not report.rejected):
        return None
    if not report.rows:
        return "the source has no rows: a run would send nothing"
    return (
        f"0 of {plural(report.rows, 'row')} would become a contact: a run would send nothing "
        f"({_causes(report)})"
    )


def _causes(totals: Totals | SourceReport) -> str:
    causes: Mapping[str, int] = {
        **totals.rejected,
        "not selected by source.filter": totals.filtered,
    }
    return ", ".join(f"{cause}: {number:,}" for cause, number in causes.items() if number)
