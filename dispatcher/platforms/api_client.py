"""One call of a dialect: the token, the request, and what the answer tells beside its body."""

from collections.abc import Callable

from yarl import URL

from dispatcher.domain.answer import NoAnswer, Result
from dispatcher.platforms.http import (
    JSON_TYPE,
    HttpClient,
    HttpResponse,
    PlatformClock,
    parse_quota,
)
from dispatcher.platforms.token import AccessToken, TokenManager
from dispatcher.ports import Clock, Reply, TokenLease

ParseResponse = Callable[[HttpResponse], Result]
"""Turns an answer that was read to its end into the domain's words."""


class ApiClient:
    """Makes a dialect's requests, each with the token that lives."""

    def __init__(self, http: HttpClient, tokens: TokenManager, base_url: str, clock: Clock) -> None:
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._platform_clock = PlatformClock(clock)
        self._host = http.origin(URL(base_url))
        self._ahead = 0.0

    def now(self) -> float:
        """Return the platform's time, as far as its answers told: seconds since the epoch."""
        return self._clock.time() + self._ahead

    def token(self) -> AccessToken:
        """Return a token that has not expired, for several calls that belong together.

        Raises:
            TokenExpiredError: there is none just now.

        """
        return self._tokens.fresh()

    async def call(
        self,
        method: str,
        target: str,
        body: bytes | None,
        parse: ParseResponse,
        token: AccessToken | None = None,
    ) -> Reply:
        """Make one request; ``target`` is path and query, ``data`` JSON.

        Raises:
            TokenExpiredError: there is no token just now, and no request was made.

        """
        token = token or self._tokens.fresh()
        use = TokenLease(token.number, self._clock.monotonic() - token.issued)
        result, seconds = await self._http.request(
            self._host, method, target, _headers(token, body), body
        )
        if isinstance(result, NoAnswer):
            return Reply(result, seconds, use)
        ahead = self._platform_clock.ahead(result.headers)
        if ahead is not None:
            self._ahead = ahead
        return Reply(parse(result), seconds, use, parse_quota(result.headers), ahead)


def _headers(token: AccessToken, data: bytes | None) -> dict[str, str]:
    if data is None:
        return token.headers
    return {**token.headers, "Content-Type": JSON_TYPE}
