"""Past conversations as the platform's analytics show them, some seconds or more late."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PastMessage:
    """One message; ``at`` is seconds since the epoch by the platform's clock.

    ``text`` is None if the platform does not show texts. Without ``indexed`` the message was read
    from the conversation and is not in analytics yet: it does not show how complete they are.
    """

    id: str
    outbound: bool
    at: float
    text: str | None = field(repr=False)
    indexed: bool = True


@dataclass(frozen=True, slots=True)
class PastConversation:
    """A conversation with those of its messages that analytics have. All ids are canonical.

    Without ``has_previous`` the platform records no links, so None in ``previous`` means nothing.
    Without ``readable`` the platform shows that the conversation exists, but not its messages.
    ``unread`` are the times of messages that are not in ``messages``, because a part of them cannot
    be read, and that may be outbound; None: the time is not known, either.
    ``started`` and ``ended`` are in seconds since the epoch by the platform's clock, if analytics
    show them.
    """

    id: str
    previous: str | None
    external_contact_id: str | None
    messages: tuple[PastMessage, ...] = ()
    has_previous: bool = True
    readable: bool = True
    started: float | None = None
    ended: float | None = None
    unread: tuple[float | None, ...] = ()
