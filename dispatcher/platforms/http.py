"""One HTTP exchange: no retry, no redirect, and foreign exceptions become values here."""

import ssl
from collections.abc import Mapping
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
    proxy: str | None = None
    ca_bundle: str | None = None


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
        timeout = aiohttp.ClientTimeout(
            total=options.timeout + options.connect_timeout,
            connect=options.connect_timeout,
            sock_read=options.timeout,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            proxy=options.proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
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
        try:
            async with self._session.request(
                method, url, headers=headers, data=data, allow_redirects=False
            ) as response:
                body = await response.read()
                result = Exchange(response.status, response.headers, _json_object(body))
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientHttpProxyError,
        ) as error:
            result = NoAnswer(Loss.NOT_SENT, _words(error))
        except TimeoutError as error:
            result = NoAnswer(Loss.TIMEOUT, _words(error))
        except (aiohttp.ClientError, OSError) as error:
            result = NoAnswer(Loss.RESET, _words(error))
        return result, self._clock.monotonic() - start


def reading(headers: Mapping[str, str]) -> Reading | None:
    """Read the rate window's headers (source: platform contract, rate limit)."""
    try:
        return Reading(
            count=int(headers["inin-ratelimit-count"]),
            allowed=int(headers["inin-ratelimit-allowed"]),
            reset=float(headers["inin-ratelimit-reset"]),
        )
    except (KeyError, ValueError):
        return None


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
            except ValueError:
                return self._ahead
        return self._ahead


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
