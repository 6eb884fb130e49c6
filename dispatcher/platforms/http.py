"""One HTTP exchange: no retry, no redirect, and foreign exceptions become values here."""

import math
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
import orjson
from yarl import URL

from dispatcher.domain.answer import Loss, NoAnswer, Reading
from dispatcher.ports import Clock

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer that was read to its end. ``body`` is None where it is no JSON object."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: dict[str, object] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How to reach the platform; times in seconds, paths and URLs as the user gave them."""

    timeout: float = 10.0
    connect_timeout: float = 5.0
    connections: int = 64
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None


_departed: ContextVar[list[bool]] = ContextVar("departed")
"""Of the request that the current task makes: not empty once its first byte is about to leave."""


class _Request(aiohttp.ClientRequest):
    """A request that tells when it leaves, and stays where an answer waits that is not its own.

    aiohttp would take what came unasked on a kept connection for this request's answer. A
    proxy's CONNECT is another request, of aiohttp's own class: with it nothing has left yet.
    """

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ClientConnectionError("the kept connection has an answer to no request")
        _departed.get().append(True)
        return await super().send(conn)


class HttpClient:
    """A pool of connections to the platform.

    aiohttp would send an idempotent request a second time when a kept-alive connection turns
    out to be dead; that would be a request that nobody counted, so it is switched off.
    """

    def __init__(self, options: HttpOptions, clock: Clock) -> None:
        self._clock = clock
        verify = ssl.create_default_context(cafile=options.ca_bundle)
        connector = aiohttp.TCPConnector(
            limit=options.connections, ssl=verify, keepalive_timeout=15.0, ttl_dns_cache=60
        )
        connect = min(options.connect_timeout, options.timeout * 0.9)
        timeout = aiohttp.ClientTimeout(total=options.timeout, connect=connect)
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=_Request,
            timeout=timeout,
            proxy=options.proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": JSON_TYPE, "User-Agent": "dispatcher"},
        )
        self._session._retry_connection = False  # noqa: SLF001 - there is no public switch for it

    async def __aenter__(self) -> Self:
        """Return itself; leaving closes every connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(
        self, method: str, url: URL, headers: Mapping[str, str], data: bytes | None = None
    ) -> tuple[Exchange | NoAnswer, float]:
        """Make one request and read its answer; return it with the seconds that it took."""
        start = self._clock.monotonic()
        result: Exchange | NoAnswer
        left: list[bool] = []
        _departed.set(left)
        try:
            response = await self._session.request(
                method, url, headers=headers, data=data, allow_redirects=False
            )
            result = Exchange(response.status, response.headers, await _read(response))
        except (aiohttp.ClientError, OSError) as error:
            result = _no_answer(error, left=bool(left))
        return result, self._clock.monotonic() - start


async def _read(response: aiohttp.ClientResponse) -> dict[str, object] | None:
    """Read a body to its end, or drop the connection that it came on."""
    try:
        return _json_object(await response.read())
    except BaseException:
        response.close()
        raise


def _no_answer(error: Exception, *, left: bool) -> NoAnswer:
    if not left:
        return NoAnswer(Loss.NOT_SENT, _words(error))
    # aiohttp's timeouts are TimeoutErrors too, which are OSErrors
    loss = Loss.TIMEOUT if isinstance(error, TimeoutError) else Loss.RESET
    return NoAnswer(loss, _words(error))


def reading(headers: Mapping[str, str]) -> Reading | None:
    """Read the rate window's headers (source: platform contract, rate limit)."""
    told = headers.get("inin-ratelimit-count")
    if told is None:
        return None
    count = number(told)
    allowed = number(headers.get("inin-ratelimit-allowed"))
    reset = number(headers.get("inin-ratelimit-reset"))
    if count is None or allowed is None or reset is None or allowed < 1:
        return None
    return Reading(int(count), int(allowed), reset)


def number(value: str | None) -> float | None:
    """Read a header that counts something; None where it is no number that can be counted to."""
    try:
        told = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return max(0.0, told) if math.isfinite(told) else None


def sound(text: str) -> str:
    """Replace what was no UTF-8 on the wire, so that a text can be written anywhere."""
    return text if text.isascii() else text.encode(errors="replace").decode()


class PlatformClock:
    """How far the platform's clock is ahead of ours, by its Date headers (whole seconds)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = ""
        self._ahead: float | None = None

    def ahead(self, headers: Mapping[str, str]) -> float | None:
        """Return seconds ahead of our clock, as of the last Date header that was new."""
        date = headers.get("Date", "")
        if date and date != self._seen:
            self._seen = date
            try:
                self._ahead = parsedate_to_datetime(date).timestamp() - self._clock.time()
            except (ValueError, OverflowError):
                return self._ahead
        return self._ahead


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _words(error: Exception) -> str:
    told: object = error
    if isinstance(error, aiohttp.ClientResponseError):  # its own words hold the proxy's password
        told = f"{error.status} {error.message}"
    return sound(f"{type(error).__name__}: {told}"[:200])
