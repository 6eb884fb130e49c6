"""A snapshot as plain values, for ``/status`` and other JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeVar

from dispatcher.domain.events import Gauges, QuotaUse
from dispatcher.telemetry.stats.client_stats import ClientSnapshot
from dispatcher.telemetry.stats.run_stats import Snapshot


def as_json(snapshot: Snapshot) -> dict[str, object]:
    """Return the snapshot with words as keys: ``{"settled": {"parked": {"identity": 2}}}``.

    It has ``clients`` where there are several.
    """
    values: dict[str, object] = {
        "seconds": round(snapshot.seconds, 3),
        "rows": {
            "read": snapshot.rows,
            "admitted": snapshot.admitted,
            "duplicates": snapshot.duplicates,
            "rejected": snapshot.rejected_rows,
            "filtered": snapshot.filtered,
        },
        "posts": {"rows": snapshot.posted_rows, "answers": _plain(snapshot.posts)},
        "irregularities": _plain(snapshot.irregularities),
        "settled": _nested(snapshot.settled),
        "requests": _nested(snapshot.requests),
        "scope_errors": _plain(snapshot.scope_errors),
        "closed_session_conflicts": _nested(snapshot.closed_session_conflicts),
        "retry_loops": _plain(snapshot.retry_loops),
        "unchecked_sends": _nested(snapshot.unchecked_sends),
        "requests_saved": round(snapshot.requests_saved, 1),
        "retries": _plain(snapshot.retries),
        "in_doubt": _plain(snapshot.in_doubt),
        "throttled": snapshot.throttled,
        "halted_since": _plain(snapshot.halts),
        "halts_begun": _plain(snapshot.halts_begun),
        "token_requests": dict(snapshot.token_requests),
        "requests_per_contact": round(snapshot.requests_per_contact, 2),
        "rates": {name: round(rate, 2) for name, rate in asdict(snapshot.rates).items()},
        "gauges": _gauges(snapshot.gauges) if snapshot.gauges else None,
    }
    if snapshot.clients:
        values["clients"] = {name: _client(one) for name, one in snapshot.clients.items()}
    return values


def _client(client: ClientSnapshot) -> dict[str, object]:
    return {
        "requests": client.requests,
        "throttled": client.throttled,
        "scope_errors": client.scope_errors,
        "closed_session_conflicts": client.closed_session_conflicts,
        "halted_since": _plain(client.halts),
        "pace": round(client.pace, 3),
        "quota_used": round(client.quota_used, 4),
        "quota": _quota(client.quota),
    }


def _gauges(gauges: Gauges) -> dict[str, object]:
    """Return the gauges of the run; those of clients are part of ``clients``."""
    names = ("in_flight", "backlog", "oldest_due", "pace", "quota_used")
    return {
        **{name: getattr(gauges, name) for name in names},
        "quota": _quota(gauges.quota),
        "contacts": _nested(gauges.contacts),
        "source": asdict(gauges.source) if gauges.source else None,
        "ledger": asdict(gauges.ledger) if gauges.ledger else None,
        "loop_lag": round(gauges.loop_lag, 4),
    }


def _quota(quota: QuotaUse) -> dict[str, float]:
    return {name: round(value, 2) for name, value in asdict(quota).items()}


_Outer = TypeVar("_Outer", bound=str)
_Value = TypeVar("_Value", int, float)
_Inner = TypeVar("_Inner", bound=str | int)


def _nested(counts: Mapping[tuple[_Outer, _Inner], int]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), count in counts.items():
        nested.setdefault(str(outer), {})[str(inner)] = count
    return nested


def _plain(counts: Mapping[_Outer, _Value]) -> dict[str, _Value]:
    return {str(word): value for word, value in counts.items()}
