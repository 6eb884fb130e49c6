"""The kinds of conversation that the world knows: what each is like, and how it should end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

OPEN_STATES = frozenset({"active", "ringing"})
UNKNOWN_STATE = "hibernating"


class SendVerdict(StrEnum):
    """What the platform makes of a send; its value is the name of the cause in the counts."""

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
    """One kind of conversation; the defaults are those of an ended one with nothing special."""

    name: str
    expected: tuple[str, str] = ("opened", "delivered")
    """Final status and reason that a right dispatcher reaches with the file's row."""
    state: str = "ended"
    """The state before anything moved it."""
    mixed: bool = False
    """Half of the ids are active and half ended, by the id."""
    moves: bool = False
    """Whether the state changes by time or by what was asked; see the world's movers."""
    proactive: bool = True
    """Whether the channel really lets the organisation write first."""
    shows_proactive: bool = True
    """What the state check says of that."""
    known: bool = True
    """Whether the platform holds an external contact id."""
    reachable: bool = True
    """Whether the platform knows the guest and the address."""
    file_identity: Literal["right", "wrong", "empty"] = "right"
    """The external contact id in a file of contacts."""
    verdict: SendVerdict | None = None
    """What every send gets, whatever the state."""
    on_the_line: Literal["", "bot", "agent"] = ""
    """Who talks with the guest while the session is open; only the dialect ``genesys`` shows it."""
    threads: bool = False
    """Whether it ended within the threading window, where ``messaging`` has it ended."""
    in_genesys: tuple[str, str] | None = None
    """What is expected in the dialect ``genesys`` with barge-in for customers only, where that
    is something else."""


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
"""Every kind by its name: the part of a conversation id before the first ``-``."""

NEW_KIND = ConversationKind("new", _NOTIFIED, "active")
"""A conversation that an open linked made."""


def kind_name(conversation_id: str) -> str:
    """Return the kind that an id names, empty if it names none."""
    name = conversation_id.partition("-")[0]
    return name if name in KINDS else ""


def expected(kind: str, dialect: str = "messaging") -> tuple[str, str]:
    """Return the final status and reason that a contact of this kind should reach.

    For ``leaving`` it holds when the contact is sent to before the guest leaves.
    """
    known = KINDS[kind]
    if dialect == "genesys" and known.in_genesys is not None:
        return known.in_genesys
    return known.expected
