"""Makes the requests of a dialect: adds the token, and reads the response's headers."""

from collections.abc import Callable

from yarl import URL

from dispatcher.domain.answer import NoAnswer, Result
from dispatcher.platforms.access_token import AccessToken
from dispatcher.platforms.http import (
    JSON_TYPE,
    HttpClient,
    HttpResponse,
    PlatformClock,
    parse_quota,
)
from dispatcher.platforms.token import TokenManager
from dispatcher.ports import BackgroundPacer, Clock, Reply, TokenExpiredError, TokenLease

ParseResponse = Callable[[HttpResponse], Result]
"""Turns a complete response into the domain's answer."""


class ApiClient:
    """Makes a dialect's requests with the current token."""

    def __init__(self, http: HttpClient, tokens: TokenManager, base_url: str, clock: Clock) -> None:
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._platform_clock = PlatformClock(clock)
        self._origin = http.origin(URL(base_url))
        self._platform_ahead = 0.0

    def now(self) -> float:
        """Return the platform's time (seconds since the epoch), estimated from its responses."""
        return self._clock.time() + self._platform_ahead

    def token(self) -> AccessToken:
        """Return a valid token, for several calls that belong together.

        Raises:
            TokenExpiredError: there is none.

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
        """Make one request; ``target`` is path and query, ``body`` JSON.

        Raises:
            TokenExpiredError: there is no valid token, and no request was made.

        """
        token = token or self._tokens.fresh()
        lease = TokenLease(token.number, self._clock.monotonic() - token.issued)
        result, seconds = await self._http.request(
            self._origin, method, target, _headers(token, body), body
        )
        if isinstance(result, NoAnswer):
            return Reply(result, seconds, lease)
        ahead = self._platform_clock.ahead(result.headers)
        if ahead is not None:
            self._platform_ahead = ahead
        return Reply(parse(result), seconds, lease, parse_quota(result.headers), ahead)


class BackgroundClient:
    """Makes the requests of a dialect for which the engine has no permit, each with its own."""

    def __init__(self, client: ApiClient, pacer: BackgroundPacer) -> None:
        self._client = client
        self._pacer = pacer

    async def call(
        self,
        method: str,
        target: str,
        body: bytes | None,
        parse: ParseResponse,
        token: AccessToken | None = None,
    ) -> Reply:
        """Wait for a permit, and make one request; see `ApiClient.call`."""
        permit = await self._pacer.acquire_background()
        try:
            reply = await self._client.call(method, target, body, parse, token)
        except TokenExpiredError:
            permit.release()
            raise
        except BaseException:
            permit.complete(None)
            raise
        permit.complete(reply.reading)
        return reply


def _headers(token: AccessToken, body: bytes | None) -> dict[str, str]:
    return token.headers if body is None else {**token.headers, "Content-Type": JSON_TYPE}
