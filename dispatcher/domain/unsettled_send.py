"""A send without a known outcome."""

from dataclasses import dataclass, replace

from dispatcher.domain.ids import canonical_or_none
from dispatcher.domain.status import Step


@dataclass(frozen=True, slots=True)
class UnsettledSend:
    """A send whose outcome is not known; ``id`` is the id of its contact.

    ``conversation_id`` is the conversation that a notify went to, or the previous conversation
    that an open named; None for an unlinked open. ``external_contact_id`` is the recipient, if
    known. ``at`` is the time of the intent, ``ended_at`` the time at which the request ended, if
    known. Both are seconds since the epoch by the platform's clock.
    """

    id: int
    step: Step
    conversation_id: str | None
    external_contact_id: str | None
    text_sha256: str
    at: float
    ended_at: float | None = None

    def canonical(self) -> "UnsettledSend":
        """Return the send with its ids in the form by which ids are compared."""
        conversation = canonical_or_none(self.conversation_id)
        person = canonical_or_none(self.external_contact_id)
        if (conversation, person) == (self.conversation_id, self.external_contact_id):
            return self
        return replace(self, conversation_id=conversation, external_contact_id=person)
