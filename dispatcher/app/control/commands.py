"""The commands that a running dispatcher executes for its control socket."""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from dispatcher.app.control.server import CommandFunction, ControlServer
from dispatcher.http_server.unix_socket import socket_path
from dispatcher.ledgers import operator_commands
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import LedgerError

SetPaused = Callable[[str], Awaitable[object]]
"""Pauses or resumes a campaign of the run; raises LookupError if the run has no such campaign."""


class Run(Protocol):
    """What the commands need of the run."""

    def live(self) -> Mapping[str, object]:
        """Return the status of the run that is not in the ledger, as JSON values."""
        ...

    def wake(self) -> None:
        """Look for contacts that are due now."""
        ...

    def pause_function(self, verb: str) -> SetPaused | None:
        """Return the function for "pause" or "resume"; None while the run cannot execute it."""
        ...


class CommandHandler:
    """Executes commands; each is one job of the ledger's writer: it is done whole or not at all."""

    def __init__(self, ledger: SqliteLedger, run: Run) -> None:
        self._ledger = ledger
        self._run = run

    def by_name(self) -> dict[str, CommandFunction]:
        """Return all commands by name, as `ControlServer` takes them."""
        return {
            "status": self._status,
            "replay": partial(self._execute, "replay"),
            "drop": partial(self._execute, "drop"),
            "pause": partial(self._set_paused, "pause"),
            "resume": partial(self._set_paused, "resume"),
        }

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, object]:
        campaigns = await operator_commands.statuses(self._ledger, arguments.get("campaign"))
        return {"pid": os.getpid(), "campaigns": campaigns, "run": self._run.live()}

    async def _execute(
        self, name: str, arguments: Mapping[str, Any]
    ) -> operator_commands.CommandAnswer:
        answer = await operator_commands.execute(self._ledger, name, arguments)
        self._run.wake()
        return answer

    async def _set_paused(
        self, verb: str, arguments: Mapping[str, Any]
    ) -> operator_commands.CommandAnswer:
        set_paused = self._run.pause_function(verb)
        if set_paused is None:
            raise LedgerError(f"this dispatcher cannot {verb} a campaign just now; try again")
        answer = await self._execute(verb, arguments)
        names = await operator_commands.campaign_names(self._ledger, arguments.get("campaign"))
        for name in names:
            with suppress(LookupError):  # a campaign of the ledger that is not in this run
                await set_paused(name)
        return answer


async def serve(
    stack: AsyncExitStack, ledger: SqliteLedger, path: Path, configured: str, run: Run
) -> None:
    """Serve commands until the stack is closed, and record the socket in the ledger's lock file.

    Raises:
        ControlAddressError: the socket cannot be made.

    """
    socket = socket_path(path, configured)
    server = ControlServer(socket, CommandHandler(ledger, run).by_name())
    await server.start()
    stack.push_async_callback(server.stop)
    ledger.record_socket(str(socket))
