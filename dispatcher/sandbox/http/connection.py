"""HTTP/1.x on a raw transport: one request at a time per connection, answers in order."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_BODY = 1 << 20
_MAX_WAITING = 64
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_AUTHORIZATION = len(b"authorization")


@dataclass(slots=True, eq=False)
class Request:
    """One complete request."""

    method: bytes
    target: bytes
    authorization: bytes
    body: bytes
    keep_alive: bool


class Connection(asyncio.Protocol):
    """One client's connection.

    The service is called with a request and the connection. It must end the request with ``send``
    or ``reset``, now or later; until then the connection's next request waits. A request that it
    does not end gets no answer.
    """

    def __init__(
        self, service: Callable[[Request, "Connection"], None], connections: "set[Connection]"
    ) -> None:
        self._service = service
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._busy = False
        self._draining = False
        self._write_paused = False
        self._read_paused = False
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._authorization = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Drop the connection and its waiting requests."""
        self._connections.discard(self)
        self._waiting.clear()

    def pause_writing(self) -> None:
        """Stop serving while the client does not read."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Continue to serve."""
        self._write_paused = False
        self._drain()

    def data_received(self, data: "ReadableBuffer") -> None:
        """Parse received bytes; complete requests go to the service."""
        try:
            self._parser.feed_data(bytes(data))
        except httptools.HttpParserCallbackError:
            raise  # a bug in the sandbox itself, which the event loop reports
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse()

    def _refuse(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_BAD_REQUEST)
            self._transport.close()

    def on_message_begin(self) -> None:
        """Begin a request (called by the parser)."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Add a part of the target (called by the parser)."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store the Authorization header (called by the parser)."""
        if len(name) == _AUTHORIZATION and name.lower() == b"authorization":
            self._authorization = value

    def on_body(self, body: bytes) -> None:
        """Add a part of the body (called by the parser)."""
        if len(self._body) + len(body) > MAX_BODY:
            self._refuse()
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Serve a complete request, or queue it (called by the parser)."""
        if self._transport.is_closing():
            return
        request = Request(
            self._parser.get_method(),
            self._target,
            self._authorization,
            self._body,
            keep_alive=self._parser.should_keep_alive(),
        )
        if self._busy or self._write_paused or self._waiting:
            self._wait(request)
        else:
            self._busy = True
            self._service(request, self)

    def _wait(self, request: Request) -> None:
        self._waiting.append(request)
        if len(self._waiting) >= _MAX_WAITING and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        while self._waiting and not self._busy and not self._write_paused:
            self._busy = True
            self._service(self._waiting.popleft(), self)
        self._draining = False
        if self._read_paused and not self._waiting and not self._transport.is_closing():
            self._read_paused = False
            self._transport.resume_reading()

    def send(self, data: bytes, *, close: bool = False) -> bool:
        """Answer the current request; return False if the client has gone."""
        if self._transport.is_closing():
            return False
        self._transport.write(data)
        self._busy = False
        if close:
            self._waiting.clear()
            self._transport.close()
        elif self._waiting:
            self._drain()
        return True

    def reset(self) -> None:
        """Abort the connection with a TCP reset."""
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
