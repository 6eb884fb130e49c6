"""What a dialect is to the rest of the sandbox: routes, and answers on one and the same world."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.oauth import Grants, IssuedToken
from dispatcher.sandbox.world.effect_log import Effect, EffectLog
from dispatcher.sandbox.world.message_archive import MessageArchive
from dispatcher.sandbox.world.world import World


class Call:
    """One request on its way through the sandbox; ``now`` is monotonic, ``wall`` the epoch's."""

    __slots__ = (
        "conversation_id",
        "correlation",
        "endpoint",
        "grants",
        "now",
        "rate_lines",
        "request",
        "token",
        "wall",
    )

    def __init__(
        self,
        request: Request,
        endpoint: str,
        conversation_id: str,
        correlation: str,
        now: float,
        wall: float,
    ) -> None:
        self.request = request
        self.endpoint = endpoint
        self.conversation_id = conversation_id
        self.correlation = correlation
        self.now = now
        self.wall = wall
        self.grants: Grants | None = None
        """Those of the client that makes the call; None until that is known."""
        self.token: IssuedToken | None = None
        self.rate_lines = b""


@dataclass(frozen=True, slots=True)
class DialectContext:
    """What a dialect works on."""

    world: World
    grants: Grants
    log: EffectLog
    history: MessageArchive
    strange: Callable[[str], bool]
    """Whether the check of this conversation carries fields that nobody has heard of."""

    def effect(self, effect: Effect) -> str:
        """Let a message take effect; return its id."""
        message_id = self.log.add(effect)
        self.history.add(effect, message_id)
        return message_id


class Dialect(Protocol):
    """The API of one platform; a request that it answers has a good token and is within quota."""

    def route(self, request: Request) -> tuple[str, str]:
        """Return the name of the endpoint (``other`` if there is none) and the id in the path."""
        ...

    def answer(self, call: Call) -> Response:
        """Answer a call, and let it take effect."""
        ...
