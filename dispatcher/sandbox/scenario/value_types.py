"""The types of the values in a scenario, and the names that they permit."""

from collections.abc import Callable
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WrapValidator

from dispatcher.sandbox.conversation_kinds import KINDS

READ_SCOPES = ("conversations:messaging:read", "messaging:conversation:read")
"""Either one permits state checks and analytics."""
WRITE_SCOPES = ("conversations:messaging:write", "messaging:conversation:write")
"""Either one permits sends (platform contract)."""
PERMISSIONS = (
    "analytics:conversationDetail:view",
    "conversation:externalTag:edit",
    "conversation:message:create",
    "conversation:message:view",
)
"""What the roles of the client permit; only the dialect ``genesys`` checks them."""
DIVISION = "division-home"
"""The division of every conversation."""

Endpoint = Literal[
    "token",
    "check",
    "notify",
    "open",
    "messages",
    "analytics",
    "details",
    "availability",
    "me",
    "timeline",
    "tags",
    "attributes",
    "deployment",
    "other",
]
"""Names in counts, faults, limits and latencies; ``other`` is a path that does not exist.

The dialect ``genesys`` has one path for ``notify`` and ``open``: an agentless message is a
``notify`` if it may use an active conversation.
"""
ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)
LatencyKey = Literal[Endpoint, "default"]
"""``default`` is for the endpoints that are not named."""
FaultKind = Literal[
    "reset_before",
    "reset_after",
    "late_effect",
    "no_answer",
    "error_500",
    "error_502",
    "error_503_json",
    "error_503_html",
    "html_200",
    "cut_body",
    "redirect",
    "slow",
]
EFFECT_IS_OPEN = frozenset(
    {"no_answer", "error_500", "error_502", "error_503_html", "html_200", "redirect"}
)
"""The faults whose send may take effect or not."""
Denial = Literal["no", "scope", "permission", "division"]
DialectName = Literal["messaging", "genesys"]
Messenger = Literal["webmessaging", "sms", "open", "whatsapp", "apple"]
ActionName = Literal[
    "revoke", "grant", "deny", "allow", "down", "expire_tokens", "set_rate", "turn"
]


def same_type(value: object, validate: Callable[[object], object]) -> object:
    """Accept a literal only in its own type: pydantic takes 1 for true and 307.0 for 307."""
    literal = validate(value)
    if type(literal) is not type(value):
        raise ValueError(f"must be {literal!r}, not {value!r}")
    return literal


def _known_kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError("is not a kind of conversation")
    return name


Mask = Annotated[Literal[True, False, "all"], WrapValidator(same_type)]
"""Which sends answer a missing write scope with the plain 409: none, open (true), or all."""
Text = Annotated[str, Field(min_length=1)]
Texts = tuple[str, ...]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=0)]
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
WindowSeconds = Annotated[float, Field(strict=True, ge=0.01)]
Phase = Annotated[
    Number | None, BeforeValidator(lambda value: None if value == "random" else value)
]
KindName = Annotated[str, AfterValidator(_known_kind)]
Turns = dict[KindName, KindName]
"""Which kind of conversation becomes which."""
