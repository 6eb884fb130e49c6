"""The parts of a scenario as frozen values; every default is a platform without faults."""

from dataclasses import dataclass, field
from typing import Literal

READ_SCOPES = ("conversations:messaging:read", "messaging:conversation:read")
"""Either one permits state checks and analytics."""
WRITE_SCOPES = ("conversations:messaging:write", "messaging:conversation:write")
"""Either one permits sends (platform contract)."""

ENDPOINTS = (
    "token",
    "check",
    "notify",
    "open",
    "messages",
    "analytics",
    "details",
    "me",
    "timeline",
    "tags",
    "attributes",
    "other",
)
"""Names in counts, faults, limits and latencies; ``other`` is a path that does not exist.

The dialect ``genesys`` has one path for ``notify`` and ``open``: an agentless message is a
``notify`` where it may use an active conversation.
"""

PERMISSIONS = (
    "analytics:conversationDetail:view",
    "conversation:externalTag:edit",
    "conversation:message:create",
    "conversation:message:view",
)
"""What the roles of the client permit; only the dialect ``genesys`` asks."""
DIVISION = "division-home"
"""The division that every conversation is in."""

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
Mask = Literal["no", "open", "all"]
Denial = Literal["no", "scope", "permission", "division"]
DialectName = Literal["messaging", "genesys"]
Messenger = Literal["webmessaging", "sms", "open", "whatsapp", "apple"]
ActionName = Literal["revoke", "grant", "deny", "allow", "down", "expire_tokens", "set_rate"]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """How tokens are issued and what they permit."""

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - the sandbox's published default
    expires_in: int = 3600
    """Seconds that a token claims to live."""
    lives: float | None = None
    """Seconds that it really lives; as long as it claims if None."""
    granted: tuple[str, ...] = READ_SCOPES + WRITE_SCOPES
    mask: Mask = "no"
    """Where a missing write scope is answered with the plain 409 instead of 403."""
    unauthorized: bool = False
    """Whether a missing write scope is answered with 401."""
    deny: Denial = "no"
    """What the body of a 403 names that every send gets while the scopes are there."""
    contact_denial: Denial = "no"
    """What it names for a contact that is out of reach by itself; "no": it does not tell."""
    permissions: tuple[str, ...] = PERMISSIONS
    divisions: tuple[str, ...] = (DIVISION,)
    """Where the roles of the client hold."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another program that uses the same OAuth client, and so the same quota."""

    per_window: int = 0
    mode: Literal["steady", "burst"] = "steady"


@dataclass(frozen=True, slots=True)
class RateRules:
    """The fixed window over all calls of the client except token requests."""

    allowed: int = 300
    window_seconds: float = 60.0
    headers: bool = True
    phase: float | None = None
    """Seconds that the first window is old when the server starts; from the seed if None."""
    other: Other = field(default_factory=Other)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of one endpoint beside the window, such as a daily one."""

    endpoint: str
    key: str
    value: int
    retry_after: float = 3600.0
    """Seconds from the first refusal until the endpoint is open again."""
    namespace: str = "messaging"


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of durations, in milliseconds."""

    kind: Literal["fixed", "uniform", "lognormal"] = "fixed"
    ms: float = 0.0
    """The value (fixed), or the median (lognormal)."""
    low_ms: float = 0.0
    high_ms: float = 0.0
    sigma: float = 0.5
    max_ms: float = 60_000.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule of misbehaviour.

    One of probability, every and nth says how often; without them it hits every request.
    """

    kind: FaultKind
    endpoints: tuple[str, ...]
    probability: float | None = None
    every: int = 0
    nth: tuple[int, ...] = ()
    from_seconds: float = 0.0
    """Counted from the first request."""
    until_seconds: float | None = None
    delay: Spread = field(default_factory=lambda: Spread(ms=2000.0))
    """When a late effect comes after its reset, or a slow answer after its request."""
    effect: bool = False
    """Whether the send takes effect, for the kinds that leave it open."""
    retry_after: int = 2
    """Seconds, in the 503 with the platform's JSON body."""
    status: Literal[302, 307] = 307
    location: str = "/login"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens once: at a time, or when so many messages took effect."""

    action: ActionName
    at_seconds: float | None = None
    """Counted from the first request."""
    after_effects: int | None = None
    delay_seconds: float = 0.0
    """Waits so long after the moment that the other two name."""
    scopes: tuple[str, ...] = WRITE_SCOPES
    permissions: tuple[str, ...] = ()
    divisions: tuple[str, ...] = ()
    mask: Mask | None = None
    lack: Denial = "permission"
    seconds: float = 10.0
    allowed: int | None = None
    window_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Analytics:
    """How far looking back lags behind, per message."""

    keep: bool = True
    """Whether messages are kept for looking back; a benchmark saves the memory."""
    lag_seconds: float = 0.0
    straggler_share: float = 0.0
    straggler_lag_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GenesysRules:
    """What only the dialect ``genesys`` has; what could not be found out is a setting here."""

    messenger: Messenger = "webmessaging"
    """What the conversations of the world are."""
    deployments: tuple[str, ...] = ("deployment-1",)
    """The addresses that a message can come from."""
    threading_minutes: int = 4320
    """How long after its end a conversation takes up a new message (platform contract)."""
    active_status: Literal[400, 409] = 409
    """What a message is refused with that may not use the conversation that is active."""
    details_ids: int = 100
    """Conversations in one call that reads many."""


@dataclass(frozen=True, slots=True)
class WorldRules:
    """What conversations are like whose id names no kind, and how states move."""

    shares: tuple[tuple[str, float], ...] = (("ended", 1.0), ("active", 1.0))
    ended_after: float = 1.0
    """Seconds from closed to ended."""
    leaves_after: float = 5.0
    """Seconds that a leaving guest stays after the first look."""
    extra_fields_share: float = 0.05
    """Share of state checks that carry fields nobody has heard of."""
