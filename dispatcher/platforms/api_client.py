"""Makes the requests of a dialect: adds the token, and reads the response's headers."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from yarl import URL

from dispatcher.domain.answer import Answer, NoAnswer, Result
from dispatcher.platforms.access_token import AccessToken
from dispatcher.platforms.http import (
    JSON_TYPE,
    HttpClient,
    HttpResponse,
    PlatformClock,
    parse_quota,
)
from dispatcher.platforms.rate_limits import SharedLimits, read_retry_after
from dispatcher.platforms.token import TokenManager
from dispatcher.ports import BackgroundPacer, Clock, Reply, TokenLease, complete_request

OnOddValue = Callable[[str, str], None]
"""Called with the name of a header whose value cannot be used, and with the value."""
ODD_VALUE_SECONDS = 60.0
"""How often the same header is reported at most."""

ParseResponse = Callable[[HttpResponse], Result]
"""Turns a complete response into the domain's answer."""


class ApiClient:
    """Makes a dialect's requests with the current token."""

    def __init__(
        self,
        http: HttpClient,
        tokens: TokenManager,
        base_url: str,
        clock: Clock,
        on_odd_value: OnOddValue = lambda _name, _value: None,
    ) -> None:
        self._http = http
        self._limits = SharedLimits()
        self._on_odd_value = on_odd_value
        self._odd_value_at = -math.inf
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
        *,
        sends: bool = False,
    ) -> Reply:
        """Make one request; ``target`` is path and query, ``body`` JSON.

        ``sends`` means that it is a message to a person.

        Raises:
            TokenExpiredError: there is no valid token, and no request was made.

        """
        token = token or self._tokens.fresh()
        lease = TokenLease(token.number, self._clock.monotonic() - token.issued)
        result, seconds = await self._http.request(
            self._origin, method, target, _headers(token, body), body, sends=sends
        )
        if isinstance(result, NoAnswer):
            return Reply(result, seconds, lease)
        ahead = self._platform_clock.ahead(result.headers)
        if ahead is not None:
            self._platform_ahead = ahead
        answer = parse(result)
        if result.status in _WAITING:
            answer = self._with_wait(answer, method, target, result.headers)
        return Reply(answer, seconds, lease, parse_quota(result.headers), ahead)

    def _with_wait(
        self, answer: Result, method: str, target: str, headers: Mapping[str, str]
    ) -> Result:
        """Return a refusal with how long to wait, by the platform's clock, and for what."""
        if not isinstance(answer, Answer):
            return answer
        wait = read_retry_after(headers, answer.words, self.now())
        now = self._clock.monotonic()
        if wait.unusable and now - self._odd_value_at >= ODD_VALUE_SECONDS:
            self._odd_value_at = now
            self._on_odd_value("Retry-After", wait.unusable)
        key = answer.limit_key
        if key is not None and self._limits.is_shared(key, method, target):
            key = None
        return replace(answer, retry_after=wait.seconds, limit_key=key)


_WAITING = frozenset({429, 503})
"""HTTP's statuses that ask to wait: too many requests, and service unavailable."""


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
        return await complete_request(permit, self._client.call, method, target, body, parse, token)


def _headers(token: AccessToken, body: bytes | None) -> dict[str, str]:
    return token.headers if body is None else {**token.headers, "Content-Type": JSON_TYPE}
