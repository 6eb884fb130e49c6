"""A listening socket that can go away and come back on the same port."""

import asyncio
import socket
from collections.abc import Callable

from dispatcher.sandbox.http.connection import Connection, Request

_BACKLOG = 4096
_LET_GO_SECONDS = 0.001


class Listener:
    """Serves one port; ``port`` is the one that was picked when 0 was asked for."""

    def __init__(
        self, service: Callable[[Request, Connection], None], host: str, port: int
    ) -> None:
        self.port = port
        self._service = service
        self._host = host
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None

    def _connection(self) -> Connection:
        return Connection(self._service, self._connections)

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        if self._held is None:
            self._server = await loop.create_server(
                self._connection, self._host, self.port, backlog=_BACKLOG
            )
        else:
            self._server = await loop.create_server(
                self._connection, sock=self._held, backlog=_BACKLOG
            )
            self._held = None
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening, and break every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.reset()
        if self._held is not None:
            self._held.close()
            self._held = None

    async def hold(self) -> None:
        """Keep the closed port from everybody else without listening on it.

        Clients are refused. Without this, one of their own connection attempts could be given the
        port as its source, and the port would not come back.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while self._held is None:
            try:
                held.bind((self._host, self.port))
                self._held = held
            except OSError:  # the event loop has not let go of the listening socket yet
                await asyncio.sleep(_LET_GO_SECONDS)
