"""A listening socket that can close and listen again on the same port."""

import asyncio
import socket
from collections.abc import Callable

from dispatcher.sandbox.http.connection import Connection, Request

_BACKLOG = 4096
_RETRY_SECONDS = 0.001


class Listener:
    """Serves one port; after ``open``, ``port`` is the real port even if 0 was requested."""

    def __init__(
        self, service: Callable[[Request, Connection], None], host: str, port: int
    ) -> None:
        self.port = port
        self._service = service
        self._host = host
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    def _connection(self) -> Connection:
        return Connection(self._service, self._connections)

    async def open(self) -> None:
        """Start to listen."""
        loop = asyncio.get_running_loop()
        if self._reserved is None:
            self._server = await loop.create_server(
                self._connection, self._host, self.port, backlog=_BACKLOG
            )
        else:
            self._server = await loop.create_server(
                self._connection, sock=self._reserved, backlog=_BACKLOG
            )
            self._reserved = None
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening, and reset every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.reset()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    async def reserve(self) -> None:
        """Reserve the closed port without listening on it; clients are refused.

        Without this, the system could use the port as the source port of a client's connection
        attempt, and ``open`` would fail.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        reserved = socket.socket(family, socket.SOCK_STREAM)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while self._reserved is None:
            try:
                reserved.bind((self._host, self.port))
                self._reserved = reserved
            except OSError:  # the event loop has not closed the listening socket yet
                await asyncio.sleep(_RETRY_SECONDS)
