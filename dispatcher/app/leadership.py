"""Whether this run leads: which leases it has, or who has them, for its log, metrics and status."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from dispatcher.ports import HeldLease, LeaseLostError


class Leadership:
    """Whether this run has its leases. ``log`` has the campaign."""

    def __init__(self, log: Any) -> None:
        self.leading = False
        self.has_waited = False
        """Whether other daemons have had leases of this run since it began."""
        self.held: Sequence[HeldLease] = ()
        """The leases that other daemons have, while this run waits."""
        self._log = log
        self._waiting_since: float | None = None

    def note_waiting(self, held: Sequence[HeldLease]) -> None:
        """Note that others have leases of this run; log it if it is new."""
        is_new = [(one.lease, one.daemon) for one in held] != [
            (one.lease, one.daemon) for one in self.held
        ]
        self.held, self.has_waited = held, True
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
        if is_new:
            for one in held:
                self._log.info(
                    "run.standby",
                    lease=describe_lease(one),
                    leader=one.daemon,
                    host=one.host,
                    since=utc(one.since),
                )

    def note_leading(self) -> None:
        """Note that this run has its leases now."""
        waited = self._waiting_since
        self.leading, self.held, self._waiting_since = True, (), None
        if waited is not None:
            seconds = round(time.monotonic() - waited, 3)
            self._log.info("run.took_over", waited_seconds=seconds)

    def note_lost(self, error: LeaseLostError) -> None:
        """Note that another run has taken over."""
        self.leading = False
        self._log.error("run.lease_lost", detail=str(error))

    def words(self) -> str:
        """Return in one line which daemon has what this run waits for; empty if it leads."""
        return "" if not self.held else f"standby: {waiting_words(self.held)}"

    def as_json(self, *, leads: bool) -> Mapping[str, object]:
        """Return the state as JSON values; ``leads`` is False if the leases may have run out."""
        return {"leading": leads, "waits_for": [held_json(one) for one in self.held]}


def waiting_words(held: Sequence[HeldLease]) -> str:
    """Return which daemon leads, in words: of several the one that has the first lease."""
    first = held[0]
    others = {one.daemon for one in held} - {first.daemon}
    also = f" (and {len(others)} more)" if others else ""
    return (
        f"the leader is {first.daemon} on {first.host} since {utc(first.since)}{also}; it has "
        f"{', '.join(describe_lease(one) for one in held)}"
    )


def describe_lease(held: HeldLease) -> str:
    """Return what a lease is for: a campaign, or a client by the beginning of its hash."""
    return f"{held.lease.kind} {held.lease.name}"


def held_json(held: HeldLease) -> Mapping[str, object]:
    """Return a lease and its daemon as JSON values."""
    return {
        "kind": str(held.lease.kind),
        "name": held.lease.name,
        "daemon": held.daemon,
        "host": held.host,
        "since": held.since,
        "left_seconds": round(held.left, 3),
    }


def utc(seconds: float) -> str:
    """Return a time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
