"""The control socket of a running dispatcher: a Unix socket for its operator's commands.

``GET /status`` and ``POST /<command>``, small JSON both ways, over HTTP. Only the user who runs the
dispatcher can open the socket.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson

from dispatcher.http_server.json_server import JsonResponse, serve_json
from dispatcher.http_server.unix_socket import ControlSocket
from dispatcher.ports import LedgerError

CommandFunction = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, object]]]
"""Executes a command with its arguments; returns the answer.

A `ValueError` says what is wrong with the arguments; then nothing was done.
"""


async def serve_commands(
    stack: AsyncExitStack, control: ControlSocket, commands: Mapping[str, CommandFunction]
) -> None:
    """Serve commands on a Unix socket until the stack is closed, which removes the socket.

    For a ledger in a file call it only while the ledger's lock is held: the lock proves that no
    other dispatcher uses a socket that is at the same path.
    """
    stack.callback(control.path.unlink, missing_ok=True)
    routes = {"/{command}": partial(_respond, commands)}
    await serve_json(stack, control.listening, get=routes, post=routes)


async def _respond(commands: Mapping[str, CommandFunction], name: str, body: bytes) -> JsonResponse:
    command = commands.get(name)
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
