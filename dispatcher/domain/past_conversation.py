"""What the platform's analytics show of the past; they lag behind by some seconds or more."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PastMessage:
    """One message; ``at`` is seconds since the epoch by the platform's clock.

    ``text`` is None where the platform does not show texts. Without ``indexed`` it is shown by
    the conversation itself and not by analytics yet: it does not tell how far they are.
    """

    id: str
    outbound: bool
    at: float
    text: str | None = field(repr=False)
    indexed: bool = True


@dataclass(frozen=True, slots=True)
class PastConversation:
    """One conversation with those of its messages that have arrived in analytics.

    Without ``tells_previous`` the platform knows no links: then None in ``previous`` says nothing.
    Without ``readable`` the platform shows that it was there, and does not tell its messages.
    """

    id: str
    previous: str | None
    external_contact_id: str | None
    messages: tuple[PastMessage, ...] = ()
    has_previous: bool = True
    readable: bool = True
