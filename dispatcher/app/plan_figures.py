"""The figures of a dry run as plain values."""

from datetime import UTC, datetime
from typing import NamedTuple

from dispatcher.app import foreseen_halt
from dispatcher.domain.forecast import Estimate, Interval
from dispatcher.domain.look_schedule import LEAST_PART
from dispatcher.domain.status import SESSION_WAITS
from dispatcher.engine.readonly.dry_run import DryRunReport
from dispatcher.settings import Settings, requests_per_minute

QUOTA_SHARE = 0.98
"""Share of the quota that a run uses at least: it plans for a little more, and timers are late."""


class Seconds(NamedTuple):
    """A duration with its 95% interval."""

    estimate: float
    low: float
    high: float


def duration(report: DryRunReport, settings: Settings) -> Seconds:
    """Return how long the run takes at this quota."""
    rate = requests_per_minute(settings) / 60 * QUOTA_SHARE
    requests = report.estimate.requests
    numbers = (requests.number, requests.low, requests.high)
    return Seconds(*(max(number / rate, report.longest_wait) for number in numbers))


def others_done(report: DryRunReport, settings: Settings) -> float | None:
    """Return an upper bound of the seconds until all contacts are done but those that wait.

    These wait for their sessions. It is None if no contact waits, or if those that wait may use the
    whole quota.
    """
    estimate, share = report.estimate, settings.retry.waiting_share
    waiting = sum(
        estimate.waits[reason].number for reason in SESSION_WAITS if reason in estimate.waits
    )
    if not waiting:
        return None
    rate = requests_per_minute(settings) / 60 * QUOTA_SHARE
    others = max(0, estimate.requests.number - estimate.rechecks.number - 2 * waiting)
    first_looks_beyond = (others + waiting) / (1 - share * LEAST_PART)
    return max(others / (1 - share), first_looks_beyond) / rate if share < 1 else None


def report_as_json(
    settings: Settings, report: DryRunReport, seconds: Seconds, now: float
) -> dict[str, object]:
    """Return the report as JSON values; every estimate has its 95% interval."""
    scan, estimate = report.progress, report.estimate
    outcomes: dict[str, dict[str, object]] = {}
    for (status, reason), interval in sorted(estimate.outcomes.items()):
        outcomes.setdefault(status, {})[reason] = _span(interval)
    return {
        "campaign": settings.campaign,
        "rows": {
            "read": scan.rows,
            "contacts": scan.contacts,
            "duplicates": scan.duplicates,
            "rejected": dict(scan.rejected),
            "filtered": scan.filtered,
        },
        "ledger": {
            "waiting": scan.waiting,
            "suspected": scan.suspected,
            "in_doubt": report.in_doubt,
        },
        "would_halt": foreseen_halt.as_json(report.halt) if report.halt is not None else None,
        "checked": {"of": scan.to_check, "checked": scan.checked, "no_answer": scan.unread},
        "contacts": outcomes,
        "deferred": {reason: _span(interval) for reason, interval in estimate.waits.items()},
        "due_later": {"contacts": scan.later, "last": iso(scan.last_due)},
        "requests": {name: _span(interval) for name, interval in requests_of(estimate).items()},
        "duration_seconds": seconds._asdict(),
        "others_done_seconds": others_done(report, settings),
        "ends_at": {name: iso(now + after) for name, after in seconds._asdict().items()},
    }


def _span(interval: Interval) -> dict[str, int]:
    return {"estimate": interval.number, "low": interval.low, "high": interval.high}


def iso(moment: float) -> str | None:
    """Return a time as ISO 8601; None for zero."""
    return datetime.fromtimestamp(moment, UTC).isoformat() if moment else None


def requests_of(estimate: Estimate) -> dict[str, Interval]:
    """Return how many requests a run would make, by what for."""
    return {
        "checks": estimate.checks,
        "rechecks": estimate.rechecks,
        "sends": estimate.sends,
        "all": estimate.requests,
    }
