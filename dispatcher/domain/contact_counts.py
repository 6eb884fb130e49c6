"""Where all contacts of a campaign are: their number by state and reason."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from dispatcher.domain.status import FINAL, Reason, Status


class ContactState(StrEnum):
    """Where a contact is; a metric's tag. Every admitted contact is in one of them."""

    READY = "ready"
    """It is due, and no worker has it."""
    WAITING = "waiting"
    """It is due later."""
    IN_FLIGHT = "in_flight"
    """It is claimed for a worker, or its send is being made."""
    IN_DOUBT = "in_doubt"
    """Its send has no clear answer, and the platform is asked for the message."""
    FINAL = "final"


DUE = "due"
LOOK_BACK = "look_back"

ContactCounts = Mapping[tuple[str, str], int]
"""Contacts by state and reason."""


def count_contacts(
    by_status: Mapping[tuple[Status, Reason | None], int], due: int, waiting: Mapping[str, int]
) -> ContactCounts:
    """Return all contacts by state and reason.

    ``by_status`` has all of them, by their status in the ledger. ``due`` of those that are ready
    are due; ``waiting`` are the others, by reason.
    """
    counts: Counter[tuple[str, str]] = Counter(
        {
            (ContactState.READY, DUE): due,
            (ContactState.IN_FLIGHT, Status.CLAIMED): 0,
            (ContactState.IN_FLIGHT, Status.SENDING): 0,
            (ContactState.IN_DOUBT, LOOK_BACK): 0,
            (ContactState.FINAL, Reason.DELIVERED): 0,
        }
    )
    counts.update({(ContactState.WAITING, why): contacts for why, contacts in waiting.items()})
    for (status, reason), contacts in by_status.items():
        if status is not Status.READY:
            counts[_place(status, reason)] += contacts
    return dict(counts)


def final_counts(
    by_status: Mapping[tuple[Status, Reason | None], int],
) -> dict[str, dict[str, int]]:
    """Return the number of final contacts by status and reason."""
    counts: dict[str, dict[str, int]] = {}
    for (status, reason), contacts in by_status.items():
        if status in FINAL:
            counts.setdefault(str(status), {})[str(reason)] = contacts
    return counts


def _place(status: Status, reason: Reason | None) -> tuple[str, str]:
    if status in FINAL:
        return ContactState.FINAL, str(reason)
    if status is Status.IN_DOUBT:
        return ContactState.IN_DOUBT, LOOK_BACK
    return ContactState.IN_FLIGHT, status
