"""What the contacts in doubt of one campaign wait for, and until when."""

from dataclasses import dataclass, replace

from dispatcher.domain.reconcile_policy import ReconcilePolicy


@dataclass(frozen=True, slots=True)
class Doubts:
    """All contacts in doubt of one campaign; times in seconds since the epoch.

    ``last_sent`` is the last of their intents, ``last_ended`` when the last of their requests
    ended, ``next_look`` when the next of them is due for a look back. ``records_until`` is the time
    which the platform's records must reach, so that all can be settled; None: the assumptions are
    not known. ``records_reach`` is how far they are known to reach, ``parked_at`` when the first
    is parked if no proof comes; None: no run looks for them.
    """

    contacts: int
    last_sent: float
    last_ended: float | None
    next_look: float
    records_until: float | None = None
    records_reach: float | None = None
    parked_at: float | None = None

    def judged_by(self, policy: ReconcilePolicy) -> "Doubts":
        """Return the same with the time which the records must reach."""
        until = policy.all_visible_by(self.last_sent, self.last_ended)
        return replace(self, records_until=until)
