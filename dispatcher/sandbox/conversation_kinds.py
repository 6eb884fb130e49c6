"""The kinds of conversation: the properties of each, and the outcome that is right for it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

OPEN_STATES = frozenset({"active", "ringing"})
UNKNOWN_STATE = "hibernating"


class SendVerdict(StrEnum):
    """The result of a send; the value is the name of the cause in the counts."""

    ACCEPTED = "taken"
    CLOSED = "closed"
    NOT_ACTIVE = "not_active"
    GONE = "gone"
    CONTACT_FORBIDDEN = "contact_forbidden"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    PREVIOUS_OPEN = "previous_open"
    NOT_ENDED = "not_ended"
    IDENTITY = "identity"
    LOOP = "loop"
    CHANNEL = "channel"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class ConversationKind:
    """One kind of conversation; the defaults are those of an ordinary ended one."""

    name: str
    expected: tuple[str, str] = ("opened", "delivered")
    """Final status and reason that a correct dispatcher reaches with the file's row."""
    state: str = "ended"
    """The state before anything changes it."""
    mixed: bool = False
    """Half of the ids are active and half ended, by the id."""
    moves: bool = False
    """Whether time or requests change the state; see the movers in ``world.world``."""
    proactive: bool = True
    """Whether the channel permits the organisation to write first."""
    shows_proactive: bool = True
    """Whether the state check says that it does."""
    known: bool = True
    """Whether the platform has an external contact id."""
    reachable: bool = True
    """Whether the platform has the guest and the address."""
    file_identity: Literal["right", "wrong", "empty"] = "right"
    """The external contact id in a file of contacts."""
    verdict: SendVerdict | None = None
    """The result of every send in any state."""
    on_the_line: Literal["", "bot", "agent"] = ""
    """The participant beside the guest while the session is open; shown by ``genesys`` only."""
    threads: bool = False
    """Whether it is inside the threading window although it has ended in ``messaging``."""
    in_genesys: tuple[str, str] | None = None
    """Expected outcome in the dialect ``genesys`` with ``barge_in = "customer-only"``; None: as
    ``expected``."""


_NOTIFIED = ("notified", "delivered")
_IDENTITY = ("parked", "identity")
_LOOP = ("parked", "retry_loop")
_CHANNEL = ("rejected", "channel")
_REFUSED = ("rejected", "refused")
_OPENED = ("opened", "delivered")
_ENGAGED = ("parked", "engaged")

_ALL = (
    ConversationKind("active", _NOTIFIED, "active"),
    ConversationKind("ringing", _NOTIFIED, "ringing"),
    ConversationKind("ended"),
    ConversationKind("closed", state="closed", moves=True),
    ConversationKind("closing", state="active", moves=True, in_genesys=_NOTIFIED),
    ConversationKind("leaving", _NOTIFIED, "active", moves=True),
    ConversationKind("returning", _NOTIFIED, moves=True, threads=True),
    ConversationKind("neverends", ("parked", "never_ended"), "closed", in_genesys=_OPENED),
    ConversationKind("gone", ("rejected", "conversation_gone")),
    ConversationKind(
        "stranger", _IDENTITY, known=False, file_identity="wrong", in_genesys=_REFUSED
    ),
    ConversationKind("noidentity", ("rejected", "no_identity"), known=False, file_identity="empty"),
    ConversationKind("swapped", _IDENTITY, file_identity="wrong"),
    ConversationKind("loop", _LOOP),
    ConversationKind("stubborn", _LOOP, "active"),
    ConversationKind("notactive", _NOTIFIED, "active", moves=True),
    ConversationKind("channel", _CHANNEL, proactive=False, shows_proactive=False),
    ConversationKind("channelopen", _NOTIFIED, "active", proactive=False, shows_proactive=False),
    ConversationKind("hidden", _CHANNEL, proactive=False),
    ConversationKind("unknown", ("parked", "unknown_state"), UNKNOWN_STATE),
    ConversationKind("waking", state=UNKNOWN_STATE, moves=True),
    ConversationKind(
        "forbidden",
        ("parked", "forbidden_contact"),
        mixed=True,
        verdict=SendVerdict.CONTACT_FORBIDDEN,
    ),
    ConversationKind("refused", _REFUSED, mixed=True, verdict=SendVerdict.REFUSED),
    ConversationKind("redirected", _REFUSED, mixed=True, verdict=SendVerdict.REDIRECTED),
    ConversationKind("noaddress", ("rejected", "no_address"), reachable=False, in_genesys=_OPENED),
    ConversationKind("vanished", state="active", moves=True, in_genesys=_NOTIFIED),
    ConversationKind("botline", _NOTIFIED, "active", on_the_line="bot", in_genesys=_ENGAGED),
    ConversationKind("agentline", _NOTIFIED, "active", on_the_line="agent", in_genesys=_ENGAGED),
    ConversationKind(
        "agentleaving",
        _NOTIFIED,
        "active",
        moves=True,
        on_the_line="agent",
        in_genesys=_OPENED,
    ),
    ConversationKind("resumable", threads=True),
)

KINDS: dict[str, ConversationKind] = {kind.name: kind for kind in _ALL}
"""By name, which is the part of a conversation id before the first ``-``."""

NEW_KIND = ConversationKind("new", _NOTIFIED, "active")
"""A conversation that a send opened."""


def kind_name(conversation_id: str) -> str:
    """Return the name of the kind in an id, empty if there is none."""
    name = conversation_id.partition("-")[0]
    return name if name in KINDS else ""


def expected(kind: str, dialect: str = "messaging") -> tuple[str, str]:
    """Return the final status and reason that a contact of this kind should reach.

    For ``leaving`` this is correct if the message is sent before the guest leaves.
    """
    in_genesys = KINDS[kind].in_genesys if dialect == "genesys" else None
    return in_genesys or KINDS[kind].expected
