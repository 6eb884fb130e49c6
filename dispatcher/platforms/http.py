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
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from dispatcher.domain.answer import NoAnswer, NoAnswerCause, QuotaReading
from dispatcher.platforms.http_errors import describe, is_not_http, speaks_no_tls
from dispatcher.ports import Clock

JSON_TYPE = "application/json"
LONGEST_WINDOW_SECONDS = 86_400.0
"""The longest rate window that is believed; a time since the epoch is none."""


@dataclass(frozen=True, slots=True)
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
    """How to reach the platform; times in seconds, paths and URLs as in the settings."""

    timeout: float = 10.0
    connect_timeout: float = 5.0
    connections: int = 64
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None


class Origin:
    """An origin: the key of its pooled connections, and the common part of its request heads."""

    def __init__(self, url: URL, proxy: URL | None) -> None:
        origin = url.origin()
        self.sample_request = aiohttp.ClientRequest("GET", origin, proxy=proxy)
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

    def head(self, method: str, target: str, headers: Mapping[str, str], length: int | None) -> str:
        """Return a request's head with the empty line; ``length`` is the body's size in bytes."""
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        if length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        return f"{method} {self._before_target}{target}{self._common}{''.join(lines)}\r\n"


@cache
def _tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return what verifies certificates; all clients share it, because reading it takes 50 ms."""
    return ssl.create_default_context(cafile=ca_bundle)


class HttpClient:
    """A pool of connections to the platform.

    aiohttp makes the connections (DNS, TLS, proxies, keep-alive) and parses the responses.
    """

    def __init__(self, options: HttpOptions, clock: Clock) -> None:
        self._clock = clock
        verify = _tls_context(options.ca_bundle)
        self._connector = aiohttp.TCPConnector(
            limit=options.connections, ssl=verify, keepalive_timeout=15.0, ttl_dns_cache=60
        )
        connect = min(options.connect_timeout, options.timeout * 0.9)
        self._timeout = aiohttp.ClientTimeout(connect=connect)
        self._options = options

    async def __aenter__(self) -> Self:
        """Return itself; the exit closes every connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connector.close()

    def origin(self, url: URL) -> Origin:
        """Return the origin of ``url``, for `request`."""
        proxy = self._options.proxy
        return Origin(url, URL(proxy) if proxy else None)

    async def request(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> tuple[HttpResponse | NoAnswer, float]:
        """Make one request; return its response, and the seconds that it took.

        ``target`` (path and query) and ``headers`` are sent unchanged: the caller guarantees that
        they contain no line end.
        """
        start = self._clock.monotonic()
        head = origin.head(method, target, headers, None if body is None else len(body))
        sent = head.encode("latin-1") + (body or b"")
        result: HttpResponse | NoAnswer
        left = False
        try:
            async with asyncio.timeout(self._options.timeout):
                connection = await self._connector.connect(origin.sample_request, [], self._timeout)
                try:
                    protocol, transport = _ready_protocol(connection)
                    left = True
                    transport.write(sent)
                    result = await _read_response(protocol)
                except BaseException:
                    connection.close()
                    raise
                connection.release()
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            result = _no_answer(error, left=left)
        return result, self._clock.monotonic() - start


def _ready_protocol(
    connection: aiohttp.connector.Connection,
) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return the connection's protocol and transport, prepared for one request.

    Raises:
        ClientConnectionError: a kept connection has received data without a request, which would
            be read as the response to this one.

    """
    protocol = connection.protocol
    transport = None if protocol is None else protocol.transport
    if protocol is None or transport is None or protocol.should_close:
        raise aiohttp.ClientConnectionError("the kept connection received unrequested data")
    protocol.set_response_params(read_until_eof=True)
    return protocol, transport


async def _read_response(protocol: ResponseHandler) -> HttpResponse:
    message, payload = await protocol.read()
    while message.code // 100 == 1:  # HTTP's interim responses
        message, payload = await protocol.read()
    return HttpResponse(message.code, message.headers, _json_object(await payload.read()))


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
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


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
