"""The control socket of a running dispatcher: a Unix socket for its operator's commands.

``GET /status`` and ``POST /<command>``, small JSON both ways, over HTTP. Only the user who runs the
dispatcher can open the socket.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson

from dispatcher.http_server.json_server import JsonResponse, JsonServer
from dispatcher.http_server.unix_socket import listen
from dispatcher.ports import LedgerError

CommandFunction = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, object]]]
"""Executes a command with its arguments; returns the answer.

A `ValueError` says what is wrong with the arguments; then nothing was done.
"""


class ControlServer:
    """Serves commands on a Unix socket for as long as the run lasts.

    Start it only while the ledger's lock is held: the lock proves that no other dispatcher uses a
    socket that is at the same path.
    """

    def __init__(self, path: Path, commands: Mapping[str, CommandFunction]) -> None:
        self._path = path
        self._commands = commands
        routes = {"/{command}": self._respond}
        self._server = JsonServer(get=routes, post=routes)
        self._is_listening = False

    async def start(self) -> None:
        """Listen.

        Raises:
            ControlAddressError: the socket cannot be made.

        """
        await self._server.start_unix(listen(self._path))
        self._is_listening = True

    async def stop(self) -> None:
        """Stop listening and remove the socket; a second call does nothing."""
        if self._is_listening:
            self._is_listening = False
            await self._server.stop()
            self._path.unlink(missing_ok=True)

    async def _respond(self, name: str, body: bytes) -> JsonResponse:
        command = self._commands.get(name)
        if command is None:
            return _error(HTTPStatus.NOT_FOUND, f"no such command: {name[:40]!r}")
        try:
            arguments = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            return _error(HTTPStatus.BAD_REQUEST, "the command's arguments are not JSON")
        if not isinstance(arguments, dict):
            return _error(HTTPStatus.BAD_REQUEST, "the command's arguments are not a JSON object")
        try:
            return HTTPStatus.OK, await command(arguments)
        except ValueError as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        except LedgerError as error:
            return _error(HTTPStatus.CONFLICT, str(error))
        except Exception as error:  # noqa: BLE001 - a bug here must not end the run
            text = f"a bug: {type(error).__name__}: {error}"
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, text)


def _error(status: HTTPStatus, text: str) -> JsonResponse:
    return status, {"error": text}
