"""Leases: who may work on a campaign and use a client, by the clock of the server.

A run that does not renew its lease for `PostgresAddress.lease_seconds` may be replaced by another
one, which first fences it. Everything that a run commits renews its lease in the same transaction.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from dispatcher.ledgers.postgres import migrations
from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ports import HeldLease, Lease, LeaseKind, LeaseLostError

if TYPE_CHECKING:
    from psycopg import Connection

MARGIN_SECONDS = 1.0
"""A run stops sending by so much before its lease ends."""

TAKEN_OVER, RUN_OUT, OUT_OF_ORDER = "DSP01", "DSP02", "DSP03"
"""SQLSTATEs of the functions: the run was fenced, its lease has run out, a group is missing."""


def boot_time() -> float:
    """Return seconds that also pass while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class LeaseTenure:
    """For how long this run may begin sends, by its own clock.

    That is until the time of the lease, less `MARGIN_SECONDS`, after its last renewal was sent.
    """

    def __init__(self, lease_seconds: float, clock: Callable[[], float] = boot_time) -> None:
        self._seconds = lease_seconds - MARGIN_SECONDS
        self._clock = clock
        self._until = float("-inf")

    def remaining_seconds(self) -> float:
        """Return the seconds for which the run may begin a send; 0 or less: it may not."""
        return self._until - self._clock()

    def now(self) -> float:
        """Return the time to pass to `renewed`, before the renewal is sent."""
        return self._clock()

    def renewed(self, started: float) -> None:
        """Record a renewal that was sent at ``started`` and has succeeded."""
        self._until = max(self._until, started + self._seconds)

    def lost(self) -> None:
        """Record that another run has taken over."""
        self._seconds = self._until = float("-inf")


def register(connection: "Connection[Any]", address: PostgresAddress, name: str = "") -> int:
    """Add this run to the daemons, and return its number."""
    host = platform.node() or "unknown"
    values = (
        name or f"{host}-{os.getpid()}",
        host,
        address.lease_seconds,
        len(migrations.MIGRATIONS),
    )
    row = connection.execute("SELECT dispatcher.register(%s, %s, %s, %s)", values).fetchone()
    assert row is not None  # noqa: S101 - it returns one row
    return int(row[0])


def try_take(
    connection: "Connection[Any]", address: PostgresAddress, me: int, leases: Iterable[Lease]
) -> Sequence[HeldLease]:
    """Take all leases or none; return those that other runs have, the longest held first.

    A run whose lease has run out is fenced, and replaced.

    Raises:
        LeaseLostError: another run has fenced this one.
        LedgerError: the server failed.

    """
    psycopg = load_psycopg()
    wanted = orjson.dumps([list(lease) for lease in sorted(set(leases))]).decode()
    try:
        row = connection.execute(
            "SELECT dispatcher.take(%s, %s::jsonb, %s)", (me, wanted, address.lease_seconds)
        ).fetchone()
    except psycopg.Error as error:
        if getattr(error, "sqlstate", None) == TAKEN_OVER:
            raise taken_over(address) from None
        raise translate_error(address, error) from None
    return [held_lease(found) for found in (row[0] if row else None) or ()]


def held_lease(found: Sequence[Any]) -> HeldLease:
    """Return a lease from the array that `dispatcher.held_leases` has for it."""
    kind, name, daemon, host, since, left = found
    return HeldLease(Lease(LeaseKind(kind), name), daemon, host, since, left)


def release(connection: "Connection[Any]", me: int) -> None:
    """Give all leases of a run back, and end it: it can commit nothing from then on."""
    connection.execute("SELECT dispatcher.leave(%s)", (me,))


def taken_over(address: PostgresAddress) -> LeaseLostError:
    """Return the error of a run that was replaced by another one."""
    said = ledger_error(
        address,
        "another run has taken over, because this one did not renew its lease in time; it sends "
        "nothing any more. Look at the other run, and at the network between here and the server",
    )
    return LeaseLostError(str(said))
