"""When the feeder and the reconciler of a campaign have work again."""

import asyncio

from dispatcher.domain.look_schedule import LookSchedule
from dispatcher.domain.wait_counts import WaitCounts

NEVER = float("inf")


class DueTimes:
    """The next due times of one campaign, in seconds since the epoch."""

    def __init__(self, rechecks: LookSchedule | None = None) -> None:
        self.rechecks = rechecks or LookSchedule()
        """When sessions that are waited for are looked at again."""
        self.waiting = WaitCounts()
        """How many contacts wait, and why."""
        self.next_due = NEVER
        """The earliest due time that is known, from the ledger or written since it was asked; 0
        if the ledger is to be asked now."""
        self.next_look_back = 0.0
        """When the next contact in doubt is due for a look back; 0 until the ledger was asked."""
        self.last_doubt = float("-inf")
        """When a contact of this run was last put in doubt (seconds since the epoch)."""
        self.look_back_scheduled = asyncio.Event()
        """Set when a look back is scheduled; the reconciler clears it before it waits."""

    def schedule(self, at: float) -> None:
        """Note that a contact is due at that time."""
        self.next_due = min(self.next_due, at)

    def schedule_look_back(self, at: float) -> None:
        """Note that a contact in doubt is due for a look back at that time."""
        self.next_look_back = min(self.next_look_back, at)
        self.look_back_scheduled.set()
