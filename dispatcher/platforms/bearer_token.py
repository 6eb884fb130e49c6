"""A bearer token that something else keeps fresh: which one it is, and when to look again."""

import math
from dataclasses import dataclass

from dispatcher.ports import BearerToken, Clock

RELOAD_SECONDS = (5.0, 60.0)
"""How soon, and how late at most, it is looked whether another token is there."""
RELOAD_SHARE = 0.7
"""Part of what is left of a token's life after which it is looked."""
REFUSED_SECONDS = 60.0
"""How long a token counts as refused; then it is tried again, whatever refused it."""


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """Why credentials are not taken; ``words`` say it to people, and what to do."""

    message: str


@dataclass(frozen=True, slots=True)
class BearerTokenUse:
    """A token in use, by its number. Times are monotonic seconds."""

    number: int
    since: float
    reload_at: float
    expires_at: float


class BearerTokenTracker:
    """Tells one bearer token from the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._value: str | None = None
        self._number = 0
        self._since = 0.0
        self._refused_until = -math.inf

    def mark_refused(self, number: int, expires_at: float) -> bool:
        """Note that the platform refused a token; false if it is none of these, or had expired."""
        now = self._clock.monotonic()
        if self._value is None or number != self._number or now >= expires_at:
            return False
        self._refused_until = now + REFUSED_SECONDS
        return True

    def accept(self, bearer: BearerToken, number: int) -> BearerTokenUse | TokenRefusal:
        """Return how a token is used: under ``number``, or its own if it was the last before."""
        now = self._clock.monotonic()
        left = self._left(bearer)
        if left <= 0:
            return TokenRefusal(f"{bearer.where} has expired: look at what should keep it fresh")
        if bearer.value != self._value or self._number != number - 1:
            self._value, self._number, self._since = bearer.value, number, now
            self._refused_until = -math.inf
        elif now < self._refused_until:
            return TokenRefusal(
                f"the platform refused the token of {bearer.where} (401): look at what should"
                " keep it fresh"
            )
        soon, late = RELOAD_SECONDS
        look_again_at = now + min(late, max(soon, left * RELOAD_SHARE))
        return BearerTokenUse(self._number, self._since, look_again_at, now + left)

    def _left(self, bearer: BearerToken) -> float:
        if bearer.expires_at is None:
            return math.inf
        return bearer.expires_at - self._clock.time()
