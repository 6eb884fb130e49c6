"""The tables of a scenario as frozen values; every default is a platform without faults.

A class is one table of the file and its fields are the keys. Pydantic checks types, bounds and
unknown keys; the validators hold the rules between keys.
"""

from typing import Annotated, Literal

from pydantic import (
    ConfigDict,
    Field,
    ValidationInfo,
    WrapValidator,
    field_validator,
)
from pydantic.dataclasses import dataclass

from dispatcher.sandbox.scenario.value_types import (
    DIVISION,
    EFFECT_IS_OPEN,
    PERMISSIONS,
    READ_SCOPES,
    WRITE_SCOPES,
    ActionName,
    Count,
    Denial,
    Endpoint,
    FaultKind,
    Flag,
    KindName,
    Mask,
    Messenger,
    Number,
    Phase,
    Share,
    Text,
    Texts,
    Turns,
    Whole,
    WindowSeconds,
    same_type,
)

TABLE = ConfigDict(extra="forbid")
"""A key that does not exist is a mistake."""


@dataclass(frozen=True, slots=True, config=TABLE)
class TokenRules:
    """How tokens are issued and what they permit."""

    client_id: Text = "sandbox-client"
    client_secret: Text = "sandbox-secret"  # noqa: S105 - the sandbox's published default
    expires_in: Count = 3600
    """Lifetime in seconds that the token response states."""
    lives: Number | None = None
    """Real lifetime in seconds; None: ``expires_in``."""
    granted: Texts = READ_SCOPES + WRITE_SCOPES
    mask: Mask = False
    unauthorized: Flag = False
    """Whether a missing write scope is answered with 401."""
    deny: Denial = "no"
    """What the body of a 403 names that every send gets although the scopes are there."""
    contact_denial: Denial = "no"
    """What the 403 of a forbidden contact names; "no": nothing."""
    permissions: Texts = PERMISSIONS
    divisions: Texts = (DIVISION,)
    """The divisions in which the roles of the client apply."""

    @field_validator("unauthorized")
    @classmethod
    def _not_with_mask(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        if value and info.data.get("mask"):
            raise ValueError("cannot be combined with mask")
        return value


@dataclass(frozen=True, slots=True, config=TABLE)
class OtherProgramRules:
    """Another program that uses the same OAuth client, and so the same quota."""

    per_window: Whole = 0
    mode: Literal["steady", "burst"] = "steady"


@dataclass(frozen=True, slots=True, config=TABLE)
class RateRules:
    """The fixed window over all calls of the client except token requests."""

    allowed: Count = 300
    window_seconds: WindowSeconds = 60.0
    headers: Flag = True
    phase: Phase = None
    """Age of the first window in seconds when the server starts; None: drawn from the seed."""
    other: OtherProgramRules = Field(default_factory=OtherProgramRules)


@dataclass(frozen=True, slots=True, config=TABLE)
class ClientRules:
    """One of ``[[clients]]``; everything else is as in ``[token]`` and ``[rate]``."""

    client_id: Text
    client_secret: Text
    granted: Texts = READ_SCOPES + WRITE_SCOPES
    allowed: Count | None = None
    """Requests in a window; None: as in ``[rate]``."""


@dataclass(frozen=True, slots=True, config=TABLE)
class Limit:
    """A limit of one endpoint beside the window, such as a daily one."""

    key: Text
    endpoint: Endpoint = "notify"
    value: Whole = 0
    retry_after: Number = 3600.0
    """Seconds from the first refusal until the endpoint accepts requests again."""
    namespace: Text = "messaging"


@dataclass(frozen=True, slots=True, config=TABLE)
class Spread:
    """A distribution of durations, in milliseconds."""

    kind: Literal["fixed", "uniform", "lognormal"] = "fixed"
    ms: Number = 0.0
    """The value (fixed), or the median (lognormal)."""
    low_ms: Number = 0.0
    high_ms: Number = Field(default=0.0, validate_default=True)
    sigma: Number = 0.5
    max_ms: Number = 60_000.0

    @field_validator("high_ms")
    @classmethod
    def _not_below_low(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("kind") == "uniform" and value < info.data.get("low_ms", 0.0):
            raise ValueError("must not be below low_ms")
        return value


@dataclass(frozen=True, slots=True, config=TABLE)
class Delay(Spread):
    """A distribution of delays."""

    ms: Number = 2000.0


@dataclass(frozen=True, slots=True, config=TABLE)
class Fault:
    """One rule of misbehaviour.

    At most one of probability, every and nth sets how often; without them every request is hit.
    """

    kind: FaultKind
    endpoints: tuple[Endpoint, ...] = ("notify", "open")
    endpoint: Endpoint | None = None
    """The only endpoint, instead of ``endpoints``."""
    probability: Share | None = None
    every: Count | None = None
    nth: tuple[Count, ...] = ()
    from_seconds: Number = 0.0
    """Counted from the first request."""
    until_seconds: Number | None = None
    delay: Delay = Field(default_factory=Delay)
    """Time from a reset to its late effect, or from a request to its slow answer."""
    effect: Flag = False
    """Whether the send takes effect, for the kinds that leave it open."""
    retry_after: Whole = 2
    """Seconds, in the 503 with the platform's JSON body."""
    status: Annotated[Literal[302, 307], WrapValidator(same_type)] = 307
    location: Text = "/login"

    @property
    def targets(self) -> tuple[Endpoint, ...]:
        """The endpoints that it hits."""
        return self.endpoints if self.endpoint is None else (self.endpoint,)

    @field_validator("every", "nth")
    @classmethod
    def _one_frequency(cls, value: object, info: ValidationInfo) -> object:
        others = (info.data.get("probability"), info.data.get("every"))
        if value and others != (None, None):
            raise ValueError("only one of probability, every and nth can be set")
        return value

    @field_validator("effect")
    @classmethod
    def _effect_is_open(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        kind = info.data.get("kind")
        if value and kind is not None and kind not in EFFECT_IS_OPEN:
            raise ValueError(f"is fixed for {kind}")
        return value


@dataclass(frozen=True, slots=True, config=TABLE)
class Event:
    """A change that happens once: at a time, or after a number of messages took effect."""

    action: ActionName
    after_effects: Count | None = None
    at_seconds: Number | None = Field(default=None, validate_default=True)
    """Counted from the first request."""
    delay_seconds: Number = 0.0
    """Waits this long after the moment that one of the other two names."""
    permissions: Texts = ()
    divisions: Texts = ()
    scopes: Texts = Field(default=None, validate_default=True)
    """By default the write scopes, and none if permissions or divisions are set."""
    mask: Mask | None = None
    lack: Denial = "permission"
    seconds: Number = 10.0
    allowed: Count | None = None
    window_seconds: WindowSeconds | None = None
    kinds: Turns = Field(default_factory=dict, validate_default=True)
    """The kinds of conversations that become another one."""

    @field_validator("kinds")
    @classmethod
    def _turns_something(cls, value: Turns, info: ValidationInfo) -> Turns:
        if info.data.get("action") == "turn" and not value:
            raise ValueError("is missing: which kind becomes which")
        return value

    @field_validator("at_seconds")
    @classmethod
    def _one_moment(cls, value: float | None, info: ValidationInfo) -> float | None:
        if (info.data.get("after_effects", ...) is None) == (value is None):
            raise ValueError("set either at_seconds or after_effects")
        return value

    @field_validator("scopes", mode="before")
    @classmethod
    def _default_scopes(cls, value: object, info: ValidationInfo) -> object:
        if value is not None:
            return value
        return () if info.data.get("permissions") or info.data.get("divisions") else WRITE_SCOPES


@dataclass(frozen=True, slots=True, config=TABLE)
class Analytics:
    """How late analytics show a message, or another record."""

    keep: Flag = True
    """Whether messages are kept for analytics; a benchmark saves the memory."""
    lag_seconds: Number = 0.0
    straggler_share: Share = 0.0
    straggler_lag_seconds: Number = 0.0
    availability_lag_seconds: Number = 7200.0
    """How far the date lies back up to which the platform states its records to be complete; only
    the dialect ``genesys`` states one. A true statement is not below the lags above."""


@dataclass(frozen=True, slots=True, config=TABLE)
class TrafficRules:
    """What happens without the client: guests who answer, and conversations of other people."""

    answer_share: Share = 0.0
    """Share of the conversations with a message of the client whose guests answer."""
    answer_seconds: WindowSeconds = 5.0
    """Seconds from such a message to the first answer, and from one answer to the next."""
    others_seconds: Number = 0.0
    """Seconds from one conversation of other people to the next; 0: there are none. Only the
    dialect ``genesys`` shows them."""


@dataclass(frozen=True, slots=True, config=TABLE)
class GenesysRules:
    """What only the dialect ``genesys`` has; what is not documented is a setting here."""

    messenger: Messenger = "webmessaging"
    """The channel of every conversation."""
    deployments: Texts = ("deployment-1",)
    """The addresses that a message can come from."""
    threading_minutes: Whole = 4320
    """How long after its end a conversation accepts a new message (platform contract)."""
    active_status: Annotated[Literal[400, 409], WrapValidator(same_type)] = 409
    """The status for a message that may not use the conversation that is active."""
    details_ids: Count = 100
    """Conversations in one call that reads many."""

    @property
    def deployment(self) -> str:
        """The deployment that the guests write to."""
        return self.deployments[0] if self.deployments else "deployment-1"


@dataclass(frozen=True, slots=True, config=TABLE)
class WorldRules:
    """The kinds of conversations whose id names none, and how states move."""

    shares: dict[KindName, Number] = Field(default_factory=lambda: {"ended": 1.0, "active": 1.0})
    ended_after: Number = 1.0
    """Seconds from closed to ended."""
    leaves_after: Number = 5.0
    """Seconds that a leaving guest stays after the first look."""
    extra_fields_share: Share = 0.05
    """Share of state checks that carry fields that no contract names."""

    @field_validator("shares")
    @classmethod
    def _some_share(cls, value: dict[str, float]) -> dict[str, float]:
        if value and not sum(value.values()):
            raise ValueError("must not all be zero")
        return value or WorldRules().shares
