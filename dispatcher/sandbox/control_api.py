"""The control API, ``/sandbox/...`` on its own port: no token, no quota, never down."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, TypeVar
from urllib.parse import unquote

import orjson

from dispatcher.sandbox.http.connection import Connection, Request
from dispatcher.sandbox.http.responses import Response, Stamp, render, response
from dispatcher.sandbox.scenario import sections
from dispatcher.sandbox.scenario.model import Denial, Fault, Mask
from dispatcher.sandbox.scenario.scenario import ScenarioError, read_with
from dispatcher.sandbox.scenario.table import Table
from dispatcher.sandbox.world.world import ConversationView

T = TypeVar("T")

_WORLD = b"/sandbox/world/"
_DONE = response(200, {"done": True})


class SandboxControls(Protocol):
    """What the control API can do; see ``Sandbox`` for what each means."""

    stop: asyncio.Event

    def counts(self) -> dict[str, object]: ...  # noqa: D102 - see Sandbox
    def look(self, conversation_id: str) -> ConversationView | None: ...  # noqa: D102 - see Sandbox
    def set_scopes(  # noqa: D102 - see Sandbox
        self, granted: tuple[str, ...], mask: Mask | None, client: str | None
    ) -> None: ...
    def set_denial(self, lack: Denial) -> None: ...  # noqa: D102 - see Sandbox
    def set_roles(  # noqa: D102 - see Sandbox
        self, permissions: tuple[str, ...] | None, divisions: tuple[str, ...] | None
    ) -> None: ...
    def set_faults(self, faults: tuple[Fault, ...]) -> None: ...  # noqa: D102 - see Sandbox
    def set_rate(self, allowed: int | None, window_seconds: float | None) -> None: ...  # noqa: D102 - see Sandbox
    def expire_tokens(self) -> None: ...  # noqa: D102 - see Sandbox
    def set_client_secret(self, secret: str) -> None: ...  # noqa: D102 - see Sandbox
    def go_down(self, seconds: float) -> None: ...  # noqa: D102 - see Sandbox


class ControlApi:
    """Serves the control API."""

    def __init__(self, levers: SandboxControls) -> None:
        self._levers = levers
        self._stamp = Stamp(0)
        self._routes: dict[tuple[bytes, bytes], Callable[[bytes], Response]] = {
            (b"GET", b"/sandbox/counts"): lambda _: response(200, levers.counts()),
            (b"POST", b"/sandbox/scopes"): self._scopes,
            (b"POST", b"/sandbox/denial"): self._denial,
            (b"POST", b"/sandbox/roles"): self._roles,
            (b"POST", b"/sandbox/down"): self._down,
            (b"POST", b"/sandbox/faults"): self._faults,
            (b"POST", b"/sandbox/rate"): self._rate,
            (b"POST", b"/sandbox/expire_tokens"): self._expire,
            (b"POST", b"/sandbox/client_secret"): self._client_secret,
            (b"POST", b"/sandbox/shutdown"): self._shutdown,
        }

    def serve(self, request: Request, connection: Connection) -> None:
        """Answer a request."""
        try:
            result = self._answer(request)
        except ScenarioError as error:
            result = response(400, {"mistakes": error.mistakes})
        except orjson.JSONDecodeError as error:
            result = response(400, {"mistakes": [f"the body is no JSON: {error}"]})
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
            return self._look(unquote(request.target[len(_WORLD) :].decode("ascii", "replace")))
        route = self._routes.get((request.method, request.target))
        return (
            response(404, {"mistakes": ["no such path"]}) if route is None else route(request.body)
        )

    def _look(self, conversation_id: str) -> Response:
        view = self._levers.look(conversation_id)
        if view is None:
            return response(404, {"id": conversation_id, "kind": None, "state": None})
        return response(200, {"id": conversation_id, **view._asdict(), "kind": view.kind.name})

    def _scopes(self, body: bytes) -> Response:
        def read(table: Table) -> tuple[tuple[str, ...], Mask | None, str | None]:
            if table.get("granted") is None:
                table.mistake("granted", "is missing")
            return (
                table.texts("granted", ()),
                sections.mask(table),
                table.text("client", "") or None,
            )

        self._levers.set_scopes(*_read(body, read))
        return _DONE

    def _denial(self, body: bytes) -> Response:
        self._levers.set_denial(
            _read(body, lambda table: sections.denial(table, "lack", "permission"))
        )
        return _DONE

    def _roles(self, body: bytes) -> Response:
        def read(table: Table) -> tuple[tuple[str, ...] | None, ...]:
            names = ("permissions", "divisions")
            return tuple(None if table.get(n) is None else table.texts(n, ()) for n in names)

        permissions, divisions = _read(body, read)
        self._levers.set_roles(permissions, divisions)
        return _DONE

    def _down(self, body: bytes) -> Response:
        self._levers.go_down(_read(body, lambda table: table.number("seconds", 10.0)))
        return _DONE

    def _faults(self, body: bytes) -> Response:
        self._levers.set_faults(_read(body, lambda table: sections.faults(table, "faults")))
        return _DONE

    def _rate(self, body: bytes) -> Response:
        self._levers.set_rate(*_read(body, sections.rate_change))
        return _DONE

    def _expire(self, _body: bytes) -> Response:
        self._levers.expire_tokens()
        return _DONE

    def _client_secret(self, body: bytes) -> Response:
        secret = _read(body, lambda table: table.required_text("client_secret"))
        self._levers.set_client_secret(secret)
        return _DONE

    def _shutdown(self, _body: bytes) -> Response:
        asyncio.get_running_loop().call_later(0.05, self._levers.stop.set)
        return _DONE


def _read(body: bytes, reader: Callable[[Table], T]) -> T:
    return read_with(reader, orjson.loads(body or b"{}"), "request")
