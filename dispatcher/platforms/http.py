"""One HTTP exchange: no retry, no redirect, and foreign exceptions become values here."""

import asyncio
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
import orjson
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from dispatcher.domain.answer import NoAnswer, NoAnswerCause, QuotaReading
from dispatcher.ports import Clock

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class HttpResponse:
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


class Origin:
    """An origin to ask: what its connections are found by, and what every request begins with."""

    def __init__(self, url: URL, proxy: URL | None) -> None:
        origin = url.origin()
        self.asked = aiohttp.ClientRequest("GET", origin, proxy=proxy)
        self._before_target = ""
        self._common = (
            f" HTTP/1.1\r\nHost: {self.asked.headers['Host']}\r\n"
            f"Accept: {JSON_TYPE}\r\nUser-Agent: dispatcher\r\n"
        )
        if proxy is not None and not self.asked.is_ssl():
            self._before_target = str(origin)
            self._common += _proxy_authorization(proxy)

    def head(self, method: str, target: str, headers: Mapping[str, str], length: int | None) -> str:
        """Return a request's head, with the empty line; ``length`` is its body's in bytes."""
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        if length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        return f"{method} {self._before_target}{target}{self._common}{''.join(lines)}\r\n"


class HttpClient:
    """A pool of connections to the platform.

    Connections (names, TLS, proxies, keep-alive) and the reading of answers are aiohttp's. Its
    session is left out: cookies, redirects, netrc, and above all requests that are sent a
    second time are what a dispatcher must not have, and they are two thirds of its time.
    """

    def __init__(self, options: HttpOptions, clock: Clock) -> None:
        self._clock = clock
        verify = ssl.create_default_context(cafile=options.ca_bundle)
        self._connector = aiohttp.TCPConnector(
            limit=options.connections, ssl=verify, keepalive_timeout=15.0, ttl_dns_cache=60
        )
        connect = min(options.connect_timeout, options.timeout * 0.9)
        self._timeout = aiohttp.ClientTimeout(connect=connect)
        self._options = options

    async def __aenter__(self) -> Self:
        """Return itself; leaving closes every connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connector.close()

    def host(self, url: URL) -> Origin:
        """Return the origin of a URL, for `request`."""
        proxy = self._options.proxy
        return Origin(url, URL(proxy) if proxy else None)

    async def request(
        self,
        host: Origin,
        method: str,
        target: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
    ) -> tuple[HttpResponse | NoAnswer, float]:
        """Make one request and read its answer; return it with the seconds that it took.

        ``target`` (path and query) and ``headers`` go out as they are: the caller vouches that
        there is no line end in them.
        """
        start = self._clock.monotonic()
        head = host.head(method, target, headers, None if data is None else len(data))
        sent = head.encode("latin-1") + (data or b"")
        result: HttpResponse | NoAnswer
        left = False
        try:
            async with asyncio.timeout(self._options.timeout):
                connection = await self._connector.connect(host.asked, [], self._timeout)
                try:
                    protocol, transport = _fresh(connection)
                    left = True
                    transport.write(sent)
                    result = await _answer(protocol)
                except BaseException:
                    connection.close()
                    raise
                connection.release()
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            result = _no_answer(error, left=left)
        return result, self._clock.monotonic() - start


def _proxy_authorization(proxy: URL) -> str:
    if proxy.user is None:
        return ""
    value = aiohttp.encode_basic_auth(proxy.user, proxy.password or "")
    return f"Proxy-Authorization: {value}\r\n"


def _fresh(
    connection: aiohttp.connector.Connection,
) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return the connection, ready for one request.

    A kept connection on which something came unasked is not: it would be taken for the answer.
    """
    protocol = connection.protocol
    transport = None if protocol is None else protocol.transport
    if protocol is None or transport is None or protocol.should_close:
        raise aiohttp.ClientConnectionError("the kept connection has an answer to no request")
    protocol.set_response_params(read_until_eof=True)
    return protocol, transport


async def _answer(protocol: ResponseHandler) -> HttpResponse:
    message, payload = await protocol.read()
    while message.code // 100 == 1:  # HTTP's class of answers that another one follows
        message, payload = await protocol.read()
    return HttpResponse(message.code, message.headers, _json_object(await payload.read()))


def _no_answer(error: Exception, *, left: bool) -> NoAnswer:
    if not left:
        return NoAnswer(NoAnswerCause.NOT_SENT, _words(error))
    # aiohttp's timeouts are TimeoutErrors too, which are OSErrors
    loss = NoAnswerCause.TIMEOUT if isinstance(error, TimeoutError) else NoAnswerCause.RESET
    return NoAnswer(loss, _words(error))


def reading(headers: Mapping[str, str]) -> QuotaReading | None:
    """Read the rate window's headers (source: platform contract, rate limit)."""
    told = headers.get("inin-ratelimit-count")
    if told is None:
        return None
    count = number(told)
    allowed = number(headers.get("inin-ratelimit-allowed"))
    reset = number(headers.get("inin-ratelimit-reset"))
    if count is None or allowed is None or reset is None or allowed < 1:
        return None
    return QuotaReading(int(count), int(allowed), reset)


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
        self._offset: float | None = None

    def ahead(self, headers: Mapping[str, str]) -> float | None:
        """Return seconds ahead of our clock, as of the last Date header that was new.

        Between two of them time goes by as the monotonic clock has it, so a jump of ours does
        not move the platform's.
        """
        ours = self._clock.time() - self._clock.monotonic()
        date = headers.get("Date", "")
        if date and date != self._seen:
            self._seen = date
            try:
                theirs = parsedate_to_datetime(date).timestamp()
                self._offset = theirs - self._clock.monotonic()
            except (ValueError, OverflowError):
                pass  # what was known before is still the best
        return None if self._offset is None else self._offset - ours


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
    elif isinstance(error, HttpProcessingError):
        told = f"{error.code} {error.message}"
    return sound(f"{type(error).__name__}: {told}"[:200])
