"""The whole sandbox: the API on one port, the control API on another."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from dispatcher.sandbox.control_api import ControlApi
from dispatcher.sandbox.fault_injection import FaultPlan
from dispatcher.sandbox.http.connection import Connection, Request
from dispatcher.sandbox.http.listener import Listener
from dispatcher.sandbox.http.responses import Stamp, render, response
from dispatcher.sandbox.platform import SandboxPlatform
from dispatcher.sandbox.scenario.events import EventSchedule
from dispatcher.sandbox.scenario.model import Event, Fault
from dispatcher.sandbox.scenario.scenario import Scenario, ScenarioError
from dispatcher.sandbox.scenario.value_types import (
    Count,
    Denial,
    Mask,
    Number,
    Text,
    Texts,
    Turns,
    WindowSeconds,
)
from dispatcher.sandbox.stalls import StallClock
from dispatcher.sandbox.world.world import ConversationView

_SHUTDOWN_SECONDS = 0.05
_DOCUMENT = b"/openapi.json"


class Sandbox:
    """A sandbox that serves while it is used as an asynchronous context manager.

    Port 0 picks a free one. ``stop`` is set by ``POST /sandbox/shutdown``. Every message that took
    effect is in the log when the context ends. The control API calls the methods: the names and
    types of their parameters are those of the request's body.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        log_path: Path | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        self._stop = stop or asyncio.Event()
        self._seed = scenario.seed
        self._host = host
        self._stamp = Stamp(0)
        self._outage: asyncio.Task[None] | None = None
        self._stalls: StallClock | None = None
        self._events = events = EventSchedule(scenario.event, self._apply)
        self._platform = SandboxPlatform(scenario, log_path, events.start, events.on_effect)
        self._dialect = scenario.dialect
        self._api = Listener(self._serve, host, port)
        commands: dict[str, Callable[..., None]] = {
            "scopes": self.set_scopes,
            "denial": self.set_denial,
            "roles": self.set_roles,
            "down": self.go_down,
            "faults": self.set_faults,
            "rate": self.set_rate,
            "turn": self.turn,
            "expire_tokens": self.expire_tokens,
            "client_secret": self.set_client_secret,
            "shutdown": self.shut_down,
        }
        control = ControlApi(self.counts, self.look, commands)
        self._control = Listener(control.serve, host, control_port)

    async def __aenter__(self) -> Self:
        try:
            await self._api.open()
            await self._control.open()
            self._stalls = StallClock()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._close()

    def _close(self) -> None:
        self._events.stop()
        if self._stalls is not None:
            self._stalls.stop()
        if self._outage is not None:
            self._outage.cancel()
        self._api.close()
        self._control.close()
        self._platform.log.close()

    @property
    def port(self) -> int:
        """The API's port."""
        return self._api.port

    @property
    def control_port(self) -> int:
        """The port of the control API."""
        return self._control.port

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"http://{self._host}:{self.port}"

    @property
    def control_url(self) -> str:
        """The base URL of the control API, without ``/sandbox``."""
        return f"http://{self._host}:{self.control_port}"

    def _serve(self, request: Request, connection: Connection) -> None:
        """Answer a request to the API's port: the document needs no token, and is not counted."""
        if request.target == _DOCUMENT and request.method == b"GET":
            connection.send(self._document(request), close=not request.keep_alive)
        else:
            self._platform.serve(request, connection)

    def _document(self, request: Request) -> bytes:
        from dispatcher.sandbox.openapi.document import document  # noqa: PLC0415 - half a second

        date = self._stamp.date(time.time())
        answer = response(200, document(self._dialect, self.url))
        return render(answer, self._stamp.correlation(), date, b"", keep_alive=request.keep_alive)

    def counts(self) -> dict[str, object]:
        """Return the counts; the effect log on disk is complete up to them."""
        clock = self._stalls
        stalls = {
            "longest_stall_seconds": 0.0 if clock is None else clock.longest,
            "stalls": [] if clock is None else [tuple(stall) for stall in clock.stalls],
        }
        return {**self._platform.report(), **stalls}

    def look(self, conversation_id: str) -> ConversationView | None:
        """Return a conversation as it is now, without starting any timer of it; None if gone."""
        return self._platform.world.look(conversation_id, time.monotonic(), remember=False)

    def set_scopes(
        self, granted: Texts, mask: Mask | None = None, client: Text | None = None
    ) -> None:
        """Set the scopes of a client, also for tokens already issued.

        ``client`` is the id of one of ``[[clients]]``; None: the client of ``[token]``.

        Raises:
            ScenarioError: there is no such client.

        """
        other = None if client is None else self._platform.clients.find_id(client)
        if client is not None and other is None:
            raise ScenarioError([f"request: client: is none of [[clients]]: {client!r}"])
        (other or self._platform).grants.change(granted, mask)

    def set_denial(self, lack: Denial = "permission") -> None:
        """Refuse every send with a 403 that names this; "no": permit them again."""
        self._platform.grants.denied = lack

    def set_roles(self, permissions: Texts | None = None, divisions: Texts | None = None) -> None:
        """Set what the client's roles permit, and in which divisions; None: no change."""
        grants = self._platform.grants
        grants.permissions = grants.permissions if permissions is None else permissions
        grants.divisions = grants.divisions if divisions is None else divisions

    def set_faults(self, faults: tuple[Fault, ...] = ()) -> None:
        """Replace the faults; their counts and random generators start again."""
        self._platform.faults = FaultPlan(faults, self._seed)

    def set_rate(
        self, allowed: Count | None = None, window_seconds: WindowSeconds | None = None
    ) -> None:
        """Change the quota; a new window begins now."""
        self._platform.quota.change(allowed, window_seconds, time.monotonic())

    def turn(self, kinds: Turns) -> None:
        """Let conversations of some kinds be of another one from now on."""
        self._platform.world.turn(kinds)

    def expire_tokens(self) -> None:
        """Expire every token."""
        self._platform.grants.expire_all()
        self._platform.clients.expire_all()

    def set_client_secret(self, client_secret: Text) -> None:
        """Change the client's secret; tokens already issued stay valid."""
        self._platform.grants.change_secret(client_secret)

    def shut_down(self) -> None:
        """Stop serving after the answer to this request has been sent."""
        asyncio.get_running_loop().call_later(_SHUTDOWN_SECONDS, self._stop.set)

    def go_down(self, seconds: Number = 10.0) -> None:
        """Close the API's port and break its connections; listen on it again after that time."""
        if self._outage is not None:
            self._outage.cancel()
        self._api.close()
        self._outage = asyncio.get_running_loop().create_task(self._come_back(seconds))

    async def _come_back(self, seconds: float) -> None:
        await self._api.reserve()
        await asyncio.sleep(seconds)
        await self._api.open()

    def _apply(self, event: Event) -> None:
        match event.action:
            case "revoke":
                self._change_grants(
                    event, lambda old, names: tuple(name for name in old if name not in names)
                )
            case "grant":
                self._change_grants(event, lambda old, names: tuple(dict.fromkeys(old + names)))
            case "down":
                self.go_down(event.seconds)
            case "expire_tokens":
                self.expire_tokens()
            case "deny":
                self.set_denial(event.lack)
            case "allow":
                self.set_denial("no")
            case "set_rate":
                self.set_rate(event.allowed, event.window_seconds)
            case "turn":
                self.turn(event.kinds)

    def _change_grants(self, event: Event, change: Callable[[Texts, Texts], Texts]) -> None:
        grants = self._platform.grants
        self.set_scopes(change(grants.granted, grants.expand(event.scopes)), event.mask)
        self.set_roles(
            change(grants.permissions, event.permissions),
            change(grants.divisions, event.divisions),
        )
