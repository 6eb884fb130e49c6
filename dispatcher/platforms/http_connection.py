"""One connection to the platform: one request at a time, its response parsed by aiohttp.

aiohttp's connector makes the connection (DNS, TLS, proxies), aiohttp's parser reads the response.
aiohttp's own protocol, which is between them, queues each response and wakes a reader of its body.
That took 10 of the 17 microseconds from the bytes of a response to its status, headers and body.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

import aiohttp
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpResponseParser, RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

UNLIMITED = 1 << 30
"""Bytes of a body after which the parser would pause the connection; a request has a time limit."""
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which the system sends a reset, and nothing that is not sent yet."""
INTERIM = 1
"""The first digit of the statuses of interim responses (source: RFC 9110, 15.2)."""

RawResponse = tuple[RawResponseMessage, bytes]
"""The head of a response, and its body."""


class HttpConnection(BaseProtocol):
    """A connection that sends a request, and receives its whole response."""

    __slots__ = ("_answer", "_closes", "_handler", "_opened", "_response")

    def __init__(
        self, opened: Connection, handler: ResponseHandler, transport: asyncio.Transport
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self._opened = opened
        self._handler = handler
        self._answer: asyncio.Future[RawResponse] | None = None
        self._response: tuple[RawResponseMessage, StreamReader] | None = None
        self._closes = False
        self.transport = transport
        transport.set_protocol(self)

    @classmethod
    def adopt(cls, opened: Connection) -> Self:
        """Take over a connection that aiohttp's connector has made.

        Raises:
            ClientConnectionError: it is lost, or has received data without a request.

        """
        handler = opened.protocol
        transport = None if handler is None else handler.transport
        if handler is None or transport is None or handler.should_close:
            opened.close()
            raise aiohttp.ClientConnectionError("the new connection received unrequested data")
        return cls(opened, handler, transport)

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent."""
        return self.transport is not None and not self.transport.is_closing()

    def send(self, request: bytes) -> "asyncio.Future[RawResponse]":
        """Send a request to a usable connection; return its response as a future.

        The future fails with the error that ended the connection.
        """
        # a new parser: what came before the request is never read as a part of its response
        self._parser = HttpResponseParser(
            self, self._loop, UNLIMITED,
            payload_exception=aiohttp.ClientPayloadError, read_until_eof=True,
        )  # fmt: skip
        self._answer = answer = self._loop.create_future()
        self._response = None
        if self.transport is not None:
            self.transport.write(request)
        return answer

    def fail(self, error: Exception) -> None:
        """End the request with ``error``, and abort the connection."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.abort()

    def abort(self) -> None:
        """Close the connection of a request without a response; nothing more of it is sent.

        A normal close would still send what is in the buffers, here and in the system. While the
        network fails that may be minutes later, and the request would take effect so late.
        """
        self._answer = None
        if self.transport is None:
            return
        opened = self.transport.get_extra_info("socket")
        if opened is not None:
            with suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self.transport.abort()

    def close(self) -> None:
        """Close the connection, and take no more data from it."""
        self._answer = None
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Read a part of the response (called by the transport)."""
        if self._answer is None or self._parser is None:
            self.close()  # data without a request
            return
        try:
            messages, is_upgraded, _ = self._parser.feed_data(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, the response cannot be read
            self.fail(error if isinstance(error, HttpProcessingError) else HttpProcessingError())
            return
        for message in messages:
            self._begin_response(message)
        if is_upgraded:
            self.fail(HttpProcessingError(message="an upgrade that was not requested"))
        else:
            self._end_response()

    def _begin_response(self, message: tuple[RawResponseMessage, StreamReader]) -> None:
        head, _ = message
        if head.code // 100 == INTERIM:
            return
        is_first = self._response is None
        self._closes = head.should_close or not is_first
        if is_first:
            self._response = message

    def _end_response(self) -> None:
        """Complete the request if the whole response is there."""
        if self._response is None:
            return
        head, payload = self._response
        if (error := payload.exception()) is not None:
            self.fail(error if isinstance(error, Exception) else HttpProcessingError())
        elif payload.is_eof():
            answer, self._answer, self._response = self._answer, None, None
            if answer is not None and not answer.done():
                answer.set_result((head, payload.read_nowait()))
            if self._closes:
                self.close()

    def pause_reading(self) -> None:
        """Do not pause: the body is read as a whole (called by the parser)."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Do nothing, as nothing is paused (called by the parser)."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the request, and let aiohttp's connector forget the connection."""
        parser, self._parser, self.transport = self._parser, None, None
        if self._answer is not None and parser is not None:
            try:
                parser.feed_eof()  # completes a body that is as long as the connection lives
            except Exception as error:  # noqa: BLE001 - whatever it is, the response is not complete
                self.fail(aiohttp.ClientPayloadError(f"the response is not complete: {error!r}"))
            self._end_response()
            self.fail(_why_lost(exc))
        self._handler.connection_lost(exc)
        self._opened.close()
        super().connection_lost(exc)


def _why_lost(exc: BaseException | None) -> Exception:
    return (
        aiohttp.ClientOSError(*exc.args) if exc is not None else aiohttp.ServerDisconnectedError()
    )
