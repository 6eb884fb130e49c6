"""Refusals without a call to the platform: what we decide of a contact may have a common cause."""

from dispatcher.domain.status import Reason, Step
from dispatcher.domain.suspicion import DECIDED, Local, RefusalKind

NOT_FOUND = 404

_DECISIONS = frozenset(
    {
        Reason.CONVERSATION_GONE,
        Reason.CHANNEL,
        Reason.NO_IDENTITY,
        Reason.NO_ADDRESS,
        Reason.IDENTITY,
    }
)
"""Ends without a send that a wrong setting or a wrong list causes for every contact."""
_RULES = frozenset({Reason.SUPPRESSED, Reason.EXPIRED, Reason.UNKNOWN_TIMEZONE})
"""The same for ends by a rule of the campaign, whatever the platform says."""


def decided_kind(reason: Reason) -> RefusalKind | None:
    """Return the kind of an end without a send; None if it is the contact's own in any case."""
    if reason is Reason.CONVERSATION_GONE:
        return RefusalKind(Step.CHECK, NOT_FOUND)
    if reason in _RULES:
        return RefusalKind(Local.RULES, DECIDED, reason)
    return RefusalKind(Step.CHECK, DECIDED, reason) if reason in _DECISIONS else None
