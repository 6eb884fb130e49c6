"""The interface of a dialect: routes, and answers that read and change the shared world."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.oauth import Grants, IssuedToken
from dispatcher.sandbox.world.effect_log import Effect, EffectLog
from dispatcher.sandbox.world.message_archive import MessageArchive
from dispatcher.sandbox.world.random import fraction
from dispatcher.sandbox.world.traffic import Traffic
from dispatcher.sandbox.world.world import World

NO_ROUTE = ("other", "")
_EXTRA_FIELDS: dict[str, object] = {
    "engagementScore": 0.5,
    "journey": {"segments": [{"id": "s-1", "type": "web"}]},
}


@dataclass(slots=True, eq=False)
class Call:
    """One request while the sandbox handles it; ``now`` is monotonic, ``wall`` an epoch time."""

    request: Request
    endpoint: str
    conversation_id: str
    correlation: str
    now: float
    wall: float
    grants: Grants | None = None
    """The grants of the client that makes the call; None until it is known."""
    token: IssuedToken | None = None
    rate_lines: bytes = b""


@dataclass(frozen=True, slots=True)
class DialectContext:
    """The parts of the sandbox that both dialects use."""

    world: World
    grants: Grants
    log: EffectLog
    archive: MessageArchive
    traffic: Traffic
    seed: int
    extra_fields_share: float

    def record(self, effect: Effect) -> str:
        """Log a message that takes effect; return its id."""
        message_id = self.log.add(effect)
        self.archive.add(effect, message_id)
        return message_id

    def extra_fields(self, conversation_id: str) -> dict[str, object]:
        """Return fields that no contract names, for a share of the conversations."""
        drawn = fraction(self.seed, "extra", conversation_id) < self.extra_fields_share
        return _EXTRA_FIELDS if drawn else {}

    def mask_refusal(self, call: Call, refusal: Response) -> Response:
        """Return the answer to a send that is not permitted: a 401, a plain 409, or ``refusal``."""
        mask = self.grants.mask
        if self.grants.unauthorized:
            return error_responses.unauthorized(call.correlation, "scope_unauthorized")
        if mask == "all" or (mask and call.endpoint != "notify"):
            return error_responses.conflict(call.correlation, "scope_masked")
        return refusal


class Dialect(ABC):
    """The API of one platform.

    A request that it answers is within the quota and, except a token request, has a valid token.
    """

    handlers: Mapping[str, Callable[[Call], Response]]
    """By endpoint; every other one is answered with 404."""

    @abstractmethod
    def route(self, request: Request) -> tuple[str, str]:
        """Return the endpoint's name and the id in the path; a query string changes nothing."""

    def answer(self, call: Call) -> Response:
        """Answer a call and apply its effect."""
        handler = self.handlers.get(call.endpoint)
        if handler is None:
            return error_responses.not_found(call.correlation, "The path")
        return handler(call)


def route_with_id(endpoint: str, raw: bytes) -> tuple[str, str]:
    """Return the route of a path that has this quoted id; ``other`` if it is not one segment."""
    if not raw or b"/" in raw:
        return NO_ROUTE
    text = raw.decode("ascii", "replace")
    return endpoint, unquote(text) if "%" in text else text
