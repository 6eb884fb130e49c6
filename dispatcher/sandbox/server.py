"""The sandbox as a whole: the API on one port, its control on another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from dispatcher.sandbox.control_api import ControlApi
from dispatcher.sandbox.faults import FaultPlan
from dispatcher.sandbox.http.listener import Listener
from dispatcher.sandbox.platform import SandboxPlatform
from dispatcher.sandbox.scenario.events import EventSchedule
from dispatcher.sandbox.scenario.model import Denial, Event, Fault, Mask
from dispatcher.sandbox.scenario.scenario import Scenario, ScenarioError
from dispatcher.sandbox.world.world import ConversationView


async def serve(  # noqa: PLR0913 - what a server is made of, all by name
    scenario: Scenario,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    control_port: int = 0,
    log_path: Path | None = None,
    on_ready: Callable[[int, int], None],
    stop: asyncio.Event,
) -> None:
    """Serve until ``stop`` is set, by the caller or by ``POST /sandbox/shutdown``.

    ``on_ready`` gets the API's port and the control port once both accept connections; 0 picks a
    free one. Every message that took effect is in the log when this returns.
    """
    async with running(
        scenario, host=host, port=port, control_port=control_port, log_path=log_path, stop=stop
    ) as sandbox:
        on_ready(sandbox.port, sandbox.control_port)
        await stop.wait()


@asynccontextmanager
async def running(
    scenario: Scenario,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    control_port: int = 0,
    log_path: Path | None = None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator["Sandbox"]:
    """Serve for as long as the block runs; the handle does what the control API does."""
    platform = SandboxPlatform(scenario, log_path)
    sandbox = Sandbox(scenario, platform, host, (port, control_port), stop or asyncio.Event())
    try:
        await sandbox.open()
        yield sandbox
    finally:
        sandbox.close()


class Sandbox:
    """A handle on a running sandbox."""

    def __init__(
        self,
        scenario: Scenario,
        platform: SandboxPlatform,
        host: str,
        ports: tuple[int, int],
        stop: asyncio.Event,
    ) -> None:
        self.stop = stop
        self._seed = scenario.seed
        self._platform = platform
        self._api = Listener(platform.serve, host, ports[0])
        self._control = Listener(ControlApi(self).serve, host, ports[1])
        self._timeline = EventSchedule(scenario.events, self._act)
        self._host = host
        self._outage: asyncio.Task[None] | None = None
        platform.on_first_request = self._timeline.start
        platform.log.on_effect = self._timeline.on_effect

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

    async def open(self) -> None:
        """Listen on both ports."""
        await self._api.open()
        await self._control.open()

    def close(self) -> None:
        """Close both ports, and the effect log."""
        self._timeline.stop()
        if self._outage is not None:
            self._outage.cancel()
        self._api.close()
        self._control.close()
        self._platform.log.close()

    def counts(self) -> dict[str, object]:
        """Return the counts; the effect log on disk is complete up to them."""
        return self._platform.report()

    def look(self, conversation_id: str) -> ConversationView | None:
        """Return a conversation as it is now, without setting anything in motion; None if gone."""
        return self._platform.look(conversation_id)

    def set_scopes(
        self, granted: tuple[str, ...], mask: Mask | None = None, client: str | None = None
    ) -> None:
        """Set what the client may do, from now on and for tokens already issued.

        ``client`` is the id of one of ``[[clients]]``; None: of the one of ``[token]``.

        Raises:
            ScenarioError: there is no such client.

        """
        other = None if client is None else self._platform.others.named(client)
        if client is not None and other is None:
            raise ScenarioError([f"request: client: is none of [[clients]]: {client!r}"])
        (other or self._platform).grants.change(granted, mask)

    def set_denial(self, lack: Denial) -> None:
        """Refuse every send with a 403 that names this; "no": let them in again."""
        self._platform.grants.denied = lack

    def set_roles(
        self, permissions: tuple[str, ...] | None, divisions: tuple[str, ...] | None
    ) -> None:
        """Set what the client's roles permit, and where; None leaves it as it is."""
        grants = self._platform.grants
        grants.permissions = grants.permissions if permissions is None else permissions
        grants.divisions = grants.divisions if divisions is None else divisions

    def set_faults(self, faults: tuple[Fault, ...]) -> None:
        """Replace the faults; their counts and dice begin anew."""
        self._platform.faults = FaultPlan(faults, self._seed)

    def set_rate(self, allowed: int | None, window_seconds: float | None) -> None:
        """Change the quota; a new window begins now."""
        self._platform.change_rate(allowed, window_seconds)

    def expire_tokens(self) -> None:
        """End the life of every token."""
        self._platform.grants.expire_all()
        self._platform.others.expire_all()

    def set_client_secret(self, secret: str) -> None:
        """Change the secret that the client must have; tokens already issued live on."""
        self._platform.grants.change_secret(secret)

    def go_down(self, seconds: float) -> None:
        """Close the API's port and break its connections; listen again on it after that time."""
        if self._outage is not None:
            self._outage.cancel()
        self._api.close()
        self._outage = asyncio.get_running_loop().create_task(self._come_back(seconds))

    async def _come_back(self, seconds: float) -> None:
        await self._api.hold()
        await asyncio.sleep(seconds)
        await self._api.open()

    def _act(self, event: Event) -> None:
        if event.action == "revoke":
            self._change_grants(event, _without)
        elif event.action == "grant":
            self._change_grants(event, _with)
        elif event.action == "down":
            self.go_down(event.seconds)
        elif event.action == "expire_tokens":
            self.expire_tokens()
        elif event.action in ("deny", "allow"):
            self.set_denial(event.lack if event.action == "deny" else "no")
        else:
            self.set_rate(event.allowed, event.window_seconds)

    def _change_grants(
        self, event: Event, change: Callable[[tuple[str, ...], tuple[str, ...]], tuple[str, ...]]
    ) -> None:
        grants = self._platform.grants
        self.set_scopes(change(grants.granted, grants.expand(event.scopes)), event.mask)
        self.set_roles(
            change(grants.permissions, event.permissions),
            change(grants.divisions, event.divisions),
        )


def _without(had: tuple[str, ...], taken: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in had if each not in taken)


def _with(had: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*had, *given)))
