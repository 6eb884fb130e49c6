"""An access token, and when to read one again that is renewed outside of the dispatcher."""

import math
from dataclasses import dataclass, field

from dispatcher.platforms.grants import TokenInfo
from dispatcher.ports import BearerToken, Clock

RELOAD_SECONDS = (5.0, 60.0)
"""The shortest and the longest time until the token is read again from its source."""
RELOAD_SHARE = 0.7
"""Share of a token's remaining lifetime after which it is read again."""
REFUSED_SECONDS = 60.0
"""How long a token counts as refused; afterwards it is tried again."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An issued token. Times are monotonic seconds; ``headers`` carry it.

    ``info`` is what the response that issued it reports, or what the platform reported afterwards.
    """

    number: int
    headers: dict[str, str] = field(repr=False)
    issued: float
    refresh_at: float
    expires_at: float
    info: TokenInfo


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """Credentials that cannot be used; ``message`` says why, and what to do."""

    message: str


class BearerTokenTracker:
    """Numbers bearer tokens, and remembers whether the current one was refused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._value: str | None = None
        self._number = 0
        self._since = 0.0
        self._refused_until = -math.inf

    def mark_refused(self, number: int, expires_at: float) -> bool:
        """Record that the platform refused a token.

        Return False if it is not the current bearer token, or had expired.
        """
        now = self._clock.monotonic()
        if self._value is None or number != self._number or now >= expires_at:
            return False
        self._refused_until = now + REFUSED_SECONDS
        return True

    def accept(self, bearer: BearerToken, number: int) -> AccessToken | TokenRefusal:
        """Return a bearer token as issued: as ``number``, or as its old one if it is unchanged."""
        now = self._clock.monotonic()
        expires_at = math.inf if bearer.expires_at is None else bearer.expires_at
        left = expires_at - self._clock.time()
        if left <= 0:
            return TokenRefusal(f"{bearer.where} has expired: check what should renew it")
        if bearer.value != self._value or self._number != number - 1:
            self._value, self._number, self._since = bearer.value, number, now
            self._refused_until = -math.inf
        elif now < self._refused_until:
            return TokenRefusal(
                f"the platform refused the token of {bearer.where} (401):"
                " check what should renew it"
            )
        shortest, longest = RELOAD_SECONDS
        return AccessToken(
            number=self._number,
            headers={"Authorization": f"Bearer {bearer.value}"},
            issued=self._since,
            refresh_at=now + min(longest, max(shortest, left * RELOAD_SHARE)),
            expires_at=now + left,
            info=TokenInfo(bearer.scopes),
        )
