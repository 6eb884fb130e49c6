"""Which dispatchers lead, as lines for people: with a ledger on a server there may be several."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dispatcher.app.leadership import utc

LeaseReport = Mapping[str, Any]
"""A lease and its daemon as JSON values, as `held_json` writes it."""


def leader_lines(leases: Iterable[LeaseReport]) -> Iterator[str]:
    """Yield a line for each dispatcher that has leases."""
    by_daemon: dict[tuple[str, str], list[LeaseReport]] = {}
    for lease in leases:
        by_daemon.setdefault((lease["daemon"], lease["host"]), []).append(lease)
    for (daemon, host), held in by_daemon.items():
        since = utc(min(lease["since"] for lease in held))
        names = ", ".join(f"{lease['kind']} {lease['name']}" for lease in held)
        left = min(lease["left_seconds"] for lease in held)
        end = (
            f"its leases end in {left:.0f} s unless it renews them"
            if left > 0
            else f"its leases ended {-left:.0f} s ago: the next dispatcher takes them"
        )
        yield f"Leader {daemon} on {host} since {since}: {names}; {end}."


def is_led(leases: Iterable[LeaseReport]) -> bool:
    """Return True if a dispatcher has leases that have not ended."""
    return any(lease["left_seconds"] > 0 for lease in leases)
