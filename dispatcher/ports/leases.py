"""Leases: which daemon works on a campaign, and which one uses an OAuth client."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dispatcher.domain.errors import ExitCode
from dispatcher.ports.ledger_values import LedgerError


class LeaseKind(StrEnum):
    """What a lease is for."""

    CAMPAIGN = "campaign"
    CLIENT = "client"
    """An OAuth client, so that two daemons never share its quota."""


class Lease(NamedTuple):
    """The right of one daemon to a campaign or an OAuth client.

    ``name`` is that of the campaign, or a hash of the client's id.
    """

    kind: LeaseKind
    name: str


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease that a daemon has.

    ``daemon`` is its name, and ``host`` its machine. ``since`` is when it took the lease (seconds
    since the epoch). ``left`` are the seconds until the lease ends unless it is renewed, by the
    clock of the database; below 0 it has ended, and the next daemon that wants it gets it.
    """

    lease: Lease
    daemon: str
    host: str
    since: float
    left: float


class LeaseLostError(LedgerError):
    """Another daemon has taken the leases of this run: it must send nothing more, and end."""

    exit_code = ExitCode.LEASE_LOST
