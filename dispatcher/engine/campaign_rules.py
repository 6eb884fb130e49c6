"""The campaign's own rules: which people get no message, or none now."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import Finish
from dispatcher.domain.failure_rate import FailureRate
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import Progress
from dispatcher.domain.quiet_hours import QuietHours, QuietPeriod
from dispatcher.domain.status import Reason, RetryReason, SendBlock, Status
from dispatcher.ports import NO_LIMITS, Limits

BUSY_SECONDS = 3.0
"""How soon a contact is due again that waits for another send to its person."""

Suppressed = Callable[[Iterable[str | None]], bool]
"""Returns True if one of a contact's identifiers is on the suppression list."""


class LocalQuietHours:
    """Quiet hours in each contact's own time zone.

    The zone's name is the attribute ``column``; ``zone`` is for contacts without one, or with
    one that this machine does not have.
    """

    def __init__(self, hours: QuietHours, zone: tzinfo, column: str = "") -> None:
        self._hours = hours
        self._zone = zone
        self._column = column
        self._periods: dict[tzinfo, QuietPeriod] = {}

    def until(self, contact: Contact, now: float) -> float | None:
        """Return when the contact's quiet time ends; None if ``now`` is not in it."""
        zone = self._zone
        if self._column:
            zone = _zone(contact.attributes.get(self._column, "").strip()) or zone
        period = self._periods.get(zone)
        if period is None or not period.begin <= now < period.end:
            period = self._periods[zone] = self._hours.period_at(now, zone)
        return period.end if period.quiet else None


@dataclass(slots=True)
class CampaignRules:
    """The rules of one campaign; by default there are none.

    ``cap`` is the most messages for one person within ``cap_seconds`` in all campaigns, 0 for
    no cap. ``on_too_many`` is called once, when ``failure_rate`` is exceeded.
    """

    one_per_person: bool = False
    cap: int = 0
    cap_seconds: float = 0.0
    quiet: LocalQuietHours | None = None
    suppressed: Suppressed | None = None
    failure_rate: FailureRate | None = None
    on_too_many: Callable[[], None] = lambda: None

    def check(
        self, contact: Contact, conversation: Conversation | None, progress: Progress, now: float
    ) -> Finish | Defer | None:
        """Return what a rule demands instead of a send to the contact now; None if none does."""
        if self.suppressed is not None and self.suppressed(
            _identifiers(contact, conversation, progress)
        ):
            return Finish(Status.SKIPPED, Reason.SUPPRESSED)
        until = self.quiet.until(contact, now) if self.quiet is not None else None
        if until is None:
            return None
        if contact.expires_at is not None and contact.expires_at <= until:
            return Finish(Status.SKIPPED, Reason.EXPIRED)
        return Defer(until - now, RetryReason.QUIET_HOURS, progress)

    def limits(self, now: float) -> Limits:
        """Return the limits that the ledger enforces; ``now`` is in seconds since the epoch."""
        if self.cap:
            return Limits(self.one_per_person, self.cap, now - self.cap_seconds)
        return _ONE_PER_PERSON if self.one_per_person else NO_LIMITS

    def resolve(self, block: SendBlock, progress: Progress) -> Finish | Defer | None:
        """Return what follows a block that the ledger reported; None if no rule forbids it."""
        match block:
            case SendBlock.BUSY:
                return Defer(BUSY_SECONDS, RetryReason.BUSY, progress)
            case SendBlock.SAME_PERSON if self.one_per_person:
                return Finish(Status.SKIPPED, Reason.SAME_PERSON)
            case SendBlock.CAPPED:
                return Finish(Status.SKIPPED, Reason.CAPPED)
        return None

    def record_end(self, status: Status) -> None:
        """Count a contact's final status in the failure rate."""
        if self.failure_rate is not None and self.failure_rate.record(status):
            self.failure_rate = None
            self.on_too_many()


_ONE_PER_PERSON = Limits(one_per_person=True)


def _identifiers(
    contact: Contact, conversation: Conversation | None, progress: Progress
) -> tuple[str | None, ...]:
    """Return every identifier of a contact."""
    target = conversation.target if conversation else None
    return (
        contact.key,
        contact.conversation_id,
        contact.external_contact_id,
        contact.address,
        conversation.external_contact_id if conversation else None,
        target.value if target else None,
        progress.external_contact_id,
        progress.target.value if progress.target else None,
    )


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
