"""A snapshot of the tally as plain values, for ``/status`` and other JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeVar

from dispatcher.domain.events import Gauges
from dispatcher.telemetry.stats import client_stats
from dispatcher.telemetry.stats.run_stats import Snapshot


def as_json(snapshot: Snapshot) -> dict[str, object]:
    """Return the snapshot with words as keys: ``{"settled": {"parked": {"identity": 2}}}``.

    ``clients`` is there where there are several.
    """
    told: dict[str, object] = {
        "seconds": round(snapshot.seconds, 3),
        "rows": {
            "read": snapshot.rows,
            "admitted": snapshot.admitted,
            "duplicates": snapshot.duplicates,
            "rejected": snapshot.rejected_rows,
            "filtered": snapshot.filtered,
        },
        "settled": _nested(snapshot.settled),
        "requests": _nested(snapshot.requests),
        "scope_errors": _plain(snapshot.scope_errors),
        "closed_session_conflicts": _nested(snapshot.closed_session_conflicts),
        "retry_loops": _plain(snapshot.retry_loops),
        "retries": _plain(snapshot.retries),
        "in_doubt": _plain(snapshot.in_doubt),
        "throttled": snapshot.throttled,
        "halted_since": _plain(snapshot.halts),
        "rates": {name: round(rate, 2) for name, rate in asdict(snapshot.rates).items()},
        "gauges": _gauges(snapshot.gauges) if snapshot.gauges else None,
    }
    if snapshot.clients:
        told["clients"] = client_stats.as_json(snapshot.clients)
    return told


def _gauges(gauges: Gauges) -> dict[str, float]:
    """Return the run's own gauges; those of clients stand with the clients."""
    told = asdict(gauges)
    del told["clients"]
    return told


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
