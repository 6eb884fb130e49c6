"""One call of a dialect: the token, the request, and what the answer tells beside its body."""

from collections.abc import Callable

from yarl import URL

from dispatcher.domain.answer import NoAnswer, Result
from dispatcher.platforms.http import (
    JSON_TYPE,
    HttpClient,
    HttpResponse,
    PlatformClock,
    reading,
)
from dispatcher.platforms.token import AccessToken, TokenManager
from dispatcher.ports import BackgroundPacer, Clock, Reply, TokenExpiredError, TokenLease

Read = Callable[[HttpResponse], Result]
"""Turns an answer that was read to its end into the domain's words."""


class ApiClient:
    """Makes a dialect's requests, each with the token that lives."""

    def __init__(self, http: HttpClient, tokens: TokenManager, base_url: str, clock: Clock) -> None:
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._platform_clock = PlatformClock(clock)
        self._host = http.host(URL(base_url))
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
        data: bytes | None,
        read: Read,
        token: AccessToken | None = None,
    ) -> Reply:
        """Make one request; ``target`` is path and query, ``data`` JSON.

        Raises:
            TokenExpiredError: there is no token just now, and no request was made.

        """
        token = token or self._tokens.fresh()
        use = TokenLease(token.number, self._clock.monotonic() - token.issued)
        result, seconds = await self._http.request(
            self._host, method, target, _headers(token, data), data
        )
        if isinstance(result, NoAnswer):
            return Reply(result, seconds, use)
        ahead = self._platform_clock.ahead(result.headers)
        if ahead is not None:
            self._ahead = ahead
        return Reply(read(result), seconds, use, reading(result.headers), ahead)


class BackgroundClient:
    """Makes the requests of a dialect for which the engine has no permit, each with its own."""

    def __init__(self, client: ApiClient, pacer: BackgroundPacer) -> None:
        self._client = client
        self._pacer = pacer

    async def call(
        self,
        method: str,
        target: str,
        data: bytes | None,
        read: Read,
        token: AccessToken | None = None,
    ) -> Reply:
        """Wait for a permit, and make one request; see `ApiClient.call`."""
        permit = await self._pacer.acquire_background()
        try:
            reply = await self._client.call(method, target, data, read, token)
        except TokenExpiredError:
            permit.release()
            raise
        except BaseException:
            permit.complete(None)
            raise
        permit.complete(reply.reading)
        return reply


def _headers(token: AccessToken, data: bytes | None) -> dict[str, str]:
    if data is None:
        return token.headers
    return {**token.headers, "Content-Type": JSON_TYPE}
