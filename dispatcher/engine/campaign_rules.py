"""The campaign's own rules: which people get no message, or none now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import Finish
from dispatcher.domain.failure_rate import FailureRate
from dispatcher.domain.next_step import Defer
from dispatcher.domain.opt_out import OptOutColumns
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, RetryReason, SendBlock, Status
from dispatcher.engine.local_quiet_hours import LocalQuietHours, UnknownZone
from dispatcher.ports import NO_LIMITS, Limits

BUSY_SECONDS = 3.0
"""How soon a contact is due again that waits for another send to its person."""

HOLD_SECONDS = 900.0
"""How soon a contact is due again that waits until a person mends a list or a setting."""

Identifiers = Sequence[str | None]

Suppressed = Callable[[Identifiers, Identifiers], bool]
"""Returns True if one of a contact's ids or one of its addresses is on the suppression list."""

Unproved = Callable[[Identifiers], bool]
"""Returns True as long as no identifier has looked like a value of the suppression list."""


@dataclass(slots=True)
class CampaignRules:
    """The rules of one campaign; by default there are none.

    ``cap`` is the most messages for one person within ``cap_seconds`` in all campaigns, 0 for
    no cap. ``opt_out`` are the columns by which people are left out. While ``list_unproved``
    returns True, no contact gets a message.
    ``list_names_addresses`` returns False while the suppression list has nothing but ids.
    ``on_too_many`` is called once, when ``failure_rate`` is
    exceeded.
    """

    one_per_person: bool = False
    cap: int = 0
    cap_seconds: float = 0.0
    quiet: LocalQuietHours | None = None
    suppressed: Suppressed | None = None
    list_unproved: Unproved | None = None
    list_names_addresses: Callable[[], bool] = lambda: True
    failure_rate: FailureRate | None = None
    on_too_many: Callable[[], None] = lambda: None
    opt_out: OptOutColumns | None = None

    def check(
        self, contact: Contact, conversation: Conversation | None, progress: Progress, now: float
    ) -> Finish | Defer | None:
        """Return what a rule demands instead of a send to the contact now; None if none does."""
        has_list = self.suppressed is not None or self.opt_out is not None
        if has_list and self.is_suppressed(contact, conversation, progress):
            return Finish(Status.SKIPPED, Reason.SUPPRESSED)
        if self.suppressed is not None and self._awaits_proof(contact, conversation, progress):
            return Defer(HOLD_SECONDS, RetryReason.SUPPRESSION_LIST, progress)
        return self._check_quiet_hours(contact, progress, now)

    def is_suppressed(
        self, contact: Contact, conversation: Conversation | None, progress: Progress
    ) -> bool:
        """Return True if the contact, or what the platform says of it, is on the list.

        So it is if its own columns say that the person wants no message.
        """
        if self.opt_out is not None and self.opt_out.declines(contact.attributes):
            return True
        return self.suppressed is not None and self.suppressed(
            _ids(contact, conversation, progress), _addresses(contact, conversation, progress)
        )

    @property
    def needs_platform_address(self) -> bool:
        """Whether a send must wait for the address that the platform has of a person.

        The suppression list may have that address and not the row's. A list of ids alone is
        compared with the ids of the row and of the answer.
        """
        return self.suppressed is not None and self.list_names_addresses()

    def _awaits_proof(
        self, contact: Contact, conversation: Conversation | None, progress: Progress
    ) -> bool:
        """Return True if the contact must wait until the list is proved to be of these people.

        The state check is made first, since it may return the address that proves it; but none is
        made if an open is next.
        """
        if self.list_unproved is None:
            return False
        ids = _ids(contact, conversation, progress)
        addresses = _addresses(contact, conversation, progress)
        if not self.list_unproved((*ids, *addresses)):
            return False
        return conversation is not None or progress.open_next

    def _check_quiet_hours(
        self, contact: Contact, progress: Progress, now: float
    ) -> Finish | Defer | None:
        if self.quiet is None:
            return None
        match self.quiet.objection(contact):
            case UnknownZone.REJECT:
                return Finish(Status.REJECTED, Reason.UNKNOWN_TIMEZONE)
            case UnknownZone.HOLD:
                return Defer(HOLD_SECONDS, RetryReason.UNKNOWN_TIMEZONE, progress)
        until = self.quiet.until(contact, now)
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


def _ids(
    contact: Contact, conversation: Conversation | None, progress: Progress
) -> tuple[str | None, ...]:
    """Return the key and every id of a contact."""
    return (
        contact.key,
        contact.conversation_id,
        contact.external_contact_id,
        conversation.external_contact_id if conversation else None,
        progress.external_contact_id,
    )


def _addresses(
    contact: Contact, conversation: Conversation | None, progress: Progress
) -> tuple[str | None, ...]:
    """Return every address of a contact."""
    target = conversation.target if conversation else None
    return (
        contact.address,
        target.value if target else None,
        conversation.address if conversation else None,
        progress.target.value if progress.target else None,
    )
