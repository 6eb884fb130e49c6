"""Formats figures for people."""

from collections.abc import Mapping

from dispatcher.domain.figures import (
    OUTCOMES,
    ROW_REJECTED,
    contacts,
    duration,
    plural,
    status_name,
)
from dispatcher.domain.status import HaltReason, Reason, Status
from dispatcher.telemetry.stats.run_stats import Snapshot

__all__ = [
    "OUTCOMES", "ROW_REJECTED", "clients", "contacts", "duration", "failures", "failures_by_tag",
    "halts", "outcomes", "plural", "remaining", "since", "status_name", "unchecked_sends",
    "waiting",
]  # fmt: skip


def since(start: float, now: float) -> str:
    """Return how long ago ``start`` was; both are seconds since the epoch."""
    return duration(max(0.0, now - start))


def outcomes(settled: Mapping[tuple[Status, Reason], int]) -> dict[Status, int]:
    """Return the number of settled contacts by status."""
    return {
        status: sum(number for (settled_as, _), number in settled.items() if settled_as is status)
        for status in OUTCOMES
    }


def waiting(snapshot: Snapshot) -> int:
    """Return the contacts in the ledger that are not final, as of the last gauges."""
    gauges = snapshot.gauges
    return gauges.backlog + gauges.in_flight if gauges else 0


def remaining(snapshot: Snapshot) -> str:
    """Return an estimate of how long the contacts in the ledger take."""
    rate = snapshot.rates.settled_10 or snapshot.rates.settled_60
    left = waiting(snapshot)
    if not left:
        return "-"
    return duration(left / rate) if rate else "unknown"


def halts(snapshot: Snapshot) -> list[str]:
    """Return why nothing is sent; an empty list if something is."""
    return [
        "PAUSED" if reason is HaltReason.PAUSED else f"HALTED: {reason}"
        for reason in snapshot.halts
    ]


def clients(snapshot: Snapshot) -> dict[str, str]:
    """Return the state of each client, if there are several."""
    return {
        name: ", ".join(f"HALTED: {reason}" for reason in client.halts)
        for name, client in snapshot.clients.items()
    }


def unchecked_sends(accepted: int, refused: int, saved: float) -> str:
    """Return a sentence about the sends without a state check; empty if there were none."""
    if not accepted + refused:
        return ""
    balance = f"{saved:,.0f} requests saved" if saved >= 0 else f"{-saved:,.0f} requests more"
    return (
        f"{plural(accepted + refused, 'message')} sent without a state check, {refused:,} of them "
        f"refused: {balance}."
    )


def failures(snapshot: Snapshot) -> dict[str, int]:
    """Return the three failure counters, which are kept apart."""
    return {name: sum(tags.values()) for name, tags in failures_by_tag(snapshot).items()}


def failures_by_tag(snapshot: Snapshot) -> dict[str, dict[str, int]]:
    """Return the three failure counters by their metrics' tags."""
    return {
        "scope errors": {str(source): n for source, n in snapshot.scope_errors.items()},
        "closed-session conflicts": {
            f"{step} {status}": n for (step, status), n in snapshot.closed_session_conflicts.items()
        },
        "retry loops": {str(step): n for step, n in snapshot.retry_loops.items()},
    }
