"""The control API, ``/sandbox/...`` on its own port: no token, no quota, never down."""

import time
from collections.abc import Callable, Mapping
from inspect import signature
from urllib.parse import unquote

import orjson
from pydantic import validate_call

from dispatcher.sandbox.http.connection import Connection, Request
from dispatcher.sandbox.http.responses import Response, Stamp, render, response
from dispatcher.sandbox.scenario.scenario import ScenarioError, validated
from dispatcher.sandbox.world.world import ConversationView

_WORLD = b"/sandbox/world/"


class ControlApi:
    """Serves the control API.

    ``commands`` are by the name in the path. The keys of a request's body are the parameters of
    the command, and its annotations are their types and bounds; a command without parameters
    ignores the body.
    """

    def __init__(
        self,
        counts: Callable[[], dict[str, object]],
        look: Callable[[str], ConversationView | None],
        commands: Mapping[str, Callable[..., None]],
    ) -> None:
        self._look = look
        self._stamp = Stamp(0)
        self._routes: dict[tuple[bytes, bytes], Callable[[bytes], Response]] = {
            (b"POST", f"/sandbox/{name}".encode()): _handler(command)
            for name, command in commands.items()
        }
        self._routes[b"GET", b"/sandbox/counts"] = lambda _: response(200, counts())

    def serve(self, request: Request, connection: Connection) -> None:
        """Answer a request."""
        try:
            result = self._answer(request)
        except ScenarioError as error:
            result = response(400, {"mistakes": error.mistakes})
        except orjson.JSONDecodeError as error:
            result = response(400, {"mistakes": [f"the body is not JSON: {error}"]})
        data = render(
            result,
            self._stamp.correlation(),
            self._stamp.date(time.time()),
            b"",
            keep_alive=request.keep_alive,
        )
        connection.send(data, close=not request.keep_alive)

    def _answer(self, request: Request) -> Response:
        if request.method == b"GET" and request.target.startswith(_WORLD):
            return self._view(unquote(request.target[len(_WORLD) :].decode("ascii", "replace")))
        handler = self._routes.get((request.method, request.target))
        if handler is None:
            return response(404, {"mistakes": ["no such path"]})
        return handler(request.body)

    def _view(self, conversation_id: str) -> Response:
        view = self._look(conversation_id)
        if view is None:
            return response(404, {"id": conversation_id, "kind": None, "state": None})
        return response(200, {"id": conversation_id, **view._asdict(), "kind": view.kind.name})


def _handler(command: Callable[..., None]) -> Callable[[bytes], Response]:
    takes_body = bool(signature(command).parameters)
    checked = validate_call(command)

    def handle(body: bytes) -> Response:
        if takes_body:
            validated(checked, orjson.loads(body or b"{}"), "request")
        else:
            command()
        return response(200, {"done": True})

    return handle
