"""The commands that a run takes while it runs: at its control socket, and from its page."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from dispatcher.app.control.address import open_control_socket
from dispatcher.app.control.commands import CommandHandler
from dispatcher.app.control.server import CommandFunction, serve_commands
from dispatcher.app.run_stop import RunStop
from dispatcher.app.snapshot import SnapshotTaker
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.http_server.unix_socket import OFF
from dispatcher.ports import SOCKET_OFF, Store
from dispatcher.settings import Settings, requests_per_minute


class RunCommands:
    """The commands of a run. ``log`` has the campaign."""

    def __init__(
        self, settings: Settings, telemetry: RunTelemetry, snapshots: SnapshotTaker, stop: RunStop,
        log: Any,
    ) -> None:  # fmt: skip
        self._settings, self._telemetry = settings, telemetry
        self._snapshots, self._stop, self._log = snapshots, stop, log

    def by_name(self, store: Store) -> dict[str, CommandFunction]:
        """Return the commands of operators, which the page of a run has, too."""
        return CommandHandler(store, self._status, lambda: self._stop.pipeline).by_name()

    async def serve(self, stack: AsyncExitStack, store: Store) -> None:
        """Serve the commands until the stack is closed, and record the socket in the store.

        Raises:
            ControlAddressError: the control socket cannot be made.

        """
        configured = self._settings.control.socket
        if configured == OFF:
            store.record_socket(SOCKET_OFF)
            return
        control = open_control_socket(self._settings.ledger_place, configured)
        if control.moved:
            self._log.warning("control.socket_moved", path=str(control.path), detail=control.moved)
        more = {"snapshot": self._snapshot, "drain": self._drain}
        await serve_commands(stack, control, {**self.by_name(store), **more})
        store.record_socket(str(control.path))

    async def _snapshot(self, _arguments: Mapping[str, object]) -> Mapping[str, object]:
        return asdict(self._snapshots.take())

    async def _drain(self, _arguments: Mapping[str, object]) -> Mapping[str, object]:
        return {"in_flight": self._stop.drain()}

    def _status(self) -> Mapping[str, object]:
        """Return the status of the run, which comes on top of that of its campaigns."""
        sinks = self._snapshots.sinks
        return {
            "requests_per_second": requests_per_minute(self._settings) / 60,
            "sinks": {name: asdict(pump.state) for name, pump in sinks.items()},
            **self._telemetry.status(self._stop.in_flight),
        }
