"""One HTTP request: no retry, no redirect, and the client's exceptions become values here.

This module uses parts of aiohttp below its session: the connector, the response protocol and the
parser. aiohttp documents none of them for this use, so its minor version is pinned in
``pyproject.toml``. `tests/unit/test_platform_http_client.py` names what a newer version lacks. Two
reasons for not using ``aiohttp.ClientSession``:

- It sends an idempotent request again if a kept connection breaks, and does not report whether
  any byte of a failed request left. `NoAnswerCause.NOT_SENT` is exact here: a request that
  certainly did not leave may be repeated, any other one is in doubt.
- It takes 40 to 70 microseconds more for each request (`benchmarks/README.md`).
"""

import asyncio
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Self

import aiohttp
import orjson
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from dispatcher.domain.answer import NoAnswer, NoAnswerCause, QuotaReading
from dispatcher.domain.value_class import value_class
from dispatcher.platforms.http_connection import HttpConnection, RawResponse
from dispatcher.platforms.http_errors import describe, is_not_http, speaks_no_tls
from dispatcher.platforms.http_pool import ConnectionPool
from dispatcher.platforms.request_timeouts import RequestTimeouts
from dispatcher.ports import ENDLESS, Clock, Tenure

JSON_TYPE = "application/json"
LONGEST_WINDOW_SECONDS = 86_400.0
"""The longest rate window that is believed; a time since the epoch is none."""


@value_class
class HttpResponse:
    """A response that was read completely. ``body`` is None if it is not a JSON object."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: dict[str, object] | None = field(repr=False)

    @property
    def success_body(self) -> dict[str, object] | None:
        """The body, if the status is 2xx."""
        return self.body if self.status // 100 == 2 else None  # noqa: PLR2004 - HTTP's success


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How to reach the platform; times in seconds, paths and URLs as in the settings.

    A message leaves only during the ``tenure`` of the run.
    """

    timeout: float = 10.0
    connect_timeout: float = 5.0
    connections: int = 64
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    tenure: Tenure = ENDLESS


class Origin:
    """An origin: its connections that are kept, and the common part of its request heads."""

    def __init__(self, url: URL, proxy: URL | None, pool: ConnectionPool) -> None:
        origin = url.origin()
        self.sample_request = aiohttp.ClientRequest("GET", origin, proxy=proxy)
        self.kept = pool.kept(self.sample_request)
        self._before_target = ""
        self._common = (
            f" HTTP/1.1\r\nHost: {self.sample_request.headers['Host']}\r\n"
            f"Accept: {JSON_TYPE}\r\nUser-Agent: dispatcher\r\n"
        )
        if proxy is not None and not self.sample_request.is_ssl():
            self._before_target = str(origin)
            if proxy.user is not None:
                login = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
                self._common += f"Proxy-Authorization: {login}\r\n"

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        """Return the bytes of a request."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method} {self._before_target}{target}{self._common}{lines}"
        if body is None:
            return f"{head}\r\n".encode("latin-1")
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


@cache
def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return what verifies certificates; all clients share it, because reading it takes 50 ms."""
    return ssl.create_default_context(cafile=ca_bundle)


class HttpClient:
    """Makes requests. aiohttp makes the connections and parses the responses."""

    def __init__(self, options: HttpOptions, clock: Clock) -> None:
        self._clock = clock
        self._options = options
        self._loop = asyncio.get_running_loop()
        verify = tls_context(options.ca_bundle)
        self._connector = aiohttp.TCPConnector(limit=0, ssl=verify, ttl_dns_cache=60)
        connect = min(options.connect_timeout, options.timeout * 0.9)
        self._pool = ConnectionPool(self._connector, options.connections, connect)
        self._timeouts = RequestTimeouts()

    async def __aenter__(self) -> Self:
        """Return itself; the exit closes every connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        self._timeouts.close()
        self._pool.close()
        await self._connector.close()

    def origin(self, url: URL) -> Origin:
        """Return the origin of ``url``, for `request`."""
        proxy = self._options.proxy
        return Origin(url, URL(proxy) if proxy else None, self._pool)

    async def request(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        sends: bool = False,
    ) -> tuple[HttpResponse | NoAnswer, float]:
        """Make one request; return its response, and the seconds that it took.

        ``target`` (path and query) and ``headers`` are sent unchanged: the caller guarantees that
        they contain no line end. ``sends`` means that it is a message to a person.
        """
        start, due = self._clock.monotonic(), self._loop.time() + self._options.timeout
        request = origin.request(method, target, headers, body)
        result: HttpResponse | NoAnswer
        left = False
        try:
            connection = self._pool.take(origin.kept) or await self._pool.open(
                origin.kept, origin.sample_request
            )
            if (
                sends and self._options.tenure.remaining_seconds() <= 0.0
            ):  # it may have ended meanwhile
                self._pool.give_back(origin.kept, connection)
                raise ConnectionAbortedError("another run may have taken over")
            left = True
            message, content = await self._exchange(origin, connection, request, due)
            result = HttpResponse(message.code, message.headers, _json_object(content))
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            result = _no_answer(error, left=left)
        return result, self._clock.monotonic() - start

    async def _exchange(
        self, origin: Origin, connection: HttpConnection, request: bytes, due: float
    ) -> RawResponse:
        """Send a request on a connection, and return the response."""
        self._timeouts.start(connection, due)
        try:
            response = await connection.send(request)
        except BaseException:
            self._pool.discard(connection)
            raise
        finally:
            self._timeouts.end(connection)
        self._pool.give_back(origin.kept, connection)
        return response


def _no_answer(error: Exception, *, left: bool) -> NoAnswer:
    detail = replace_invalid(describe(error)[:200])
    if not left:
        return NoAnswer(NoAnswerCause.NOT_SENT, detail, wrong_address=speaks_no_tls(error))
    # aiohttp's timeouts are TimeoutErrors, too
    cause = NoAnswerCause.TIMEOUT if isinstance(error, TimeoutError) else NoAnswerCause.RESET
    return NoAnswer(cause, detail, wrong_address=is_not_http(error))


def parse_quota(headers: Mapping[str, str]) -> QuotaReading | None:
    """Read the headers of the rate window (source: platform contract, rate limit)."""
    count = parse_number(headers.get("inin-ratelimit-count"))
    if count is None:
        return None
    allowed = parse_number(headers.get("inin-ratelimit-allowed"))
    reset = parse_number(headers.get("inin-ratelimit-reset"))
    if allowed is None or reset is None or allowed < 1 or reset > LONGEST_WINDOW_SECONDS:
        return None
    return QuotaReading(int(count), int(allowed), reset)


def parse_number(value: str | None) -> float | None:
    """Parse a header's number; a negative one is 0. None if it is missing or not finite."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if 0.0 < number < math.inf:
        return number
    return 0.0 if -math.inf < number <= 0.0 else None


def replace_invalid(text: str) -> str:
    """Replace characters that were not valid UTF-8 on the wire and cannot be encoded."""
    return text if text.isascii() else text.encode(errors="replace").decode()


class PlatformClock:
    """Estimates the platform's clock from its Date headers, which have whole seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_date = ""
        self._offset: float | None = None

    def ahead(self, headers: Mapping[str, str]) -> float | None:
        """Return by how many seconds the platform's clock is ahead; None if not known.

        The last Date header that differed from the one before counts. The monotonic clock counts
        the time since then, so a jump of the local clock does not move the platform's.
        """
        ours = self._clock.time() - self._clock.monotonic()
        date = headers.get("Date", "")
        if date and date != self._last_date:
            self._last_date = date
            try:
                theirs = parsedate_to_datetime(date).timestamp()
                self._offset = theirs - self._clock.monotonic()
            except (ValueError, OverflowError):
                pass  # the estimate before is still the best one
        return None if self._offset is None else self._offset - ours


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
