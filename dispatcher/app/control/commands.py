"""What the running dispatcher does when it is asked over its control socket."""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from dispatcher.app.control.server import CommandFunction, ControlServer, place
from dispatcher.ledgers import operator_commands
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import LedgerError

Steering = Callable[[str], Awaitable[object]]
"""Pauses a campaign of the run, or lets it go on; a LookupError: the run has no such campaign."""


class Run(Protocol):
    """What the orders need of the run."""

    def live(self) -> Mapping[str, object]:
        """Tell how the run stands, as plain values: what no ledger knows."""
        ...

    def wake(self) -> None:
        """Look for contacts that are due now."""
        ...

    def steering(self, verb: str) -> Steering | None:
        """Return what carries out "pause" or "resume" of a campaign; None: not possible yet."""
        ...


class CommandHandler:
    """The orders by name; each is one job of the ledger's writer, so all of it or nothing."""

    def __init__(self, ledger: SqliteLedger, run: Run) -> None:
        self._ledger = ledger
        self._run = run

    def by_name(self) -> dict[str, CommandFunction]:
        """Return all orders, as the control server wants them."""
        return {
            "status": self._status,
            "replay": partial(self._by_hand, "replay"),
            "drop": partial(self._by_hand, "drop"),
            "pause": partial(self._steer, "pause"),
            "resume": partial(self._steer, "resume"),
        }

    async def _status(self, order: Mapping[str, Any]) -> Mapping[str, object]:
        found = await operator_commands.statuses(self._ledger, order.get("campaign"))
        return {"pid": os.getpid(), "campaigns": found, "run": self._run.live()}

    async def _by_hand(
        self, name: str, order: Mapping[str, Any]
    ) -> operator_commands.CommandAnswer:
        answer = await operator_commands.execute(self._ledger, name, order)
        self._run.wake()
        return answer

    async def _steer(self, verb: str, order: Mapping[str, Any]) -> operator_commands.CommandAnswer:
        steer = self._run.steering(verb)
        if steer is None:
            raise LedgerError(f"this dispatcher cannot {verb} a campaign just now; try again")
        answer = await self._by_hand(verb, order)
        for name in await operator_commands.campaign_names(self._ledger, order.get("campaign")):
            with suppress(LookupError):  # a campaign of the ledger that this run has not
                await steer(name)
        return answer


async def serve(
    stack: AsyncExitStack, ledger: SqliteLedger, path: Path, wanted: str, run: Run
) -> None:
    """Serve orders until the stack is closed; the ledger's lock file names the socket.

    Raises:
        ControlAddressError: the socket cannot be made.

    """
    where = place(path, wanted)
    server = ControlServer(where, CommandHandler(ledger, run).by_name())
    await server.start()
    stack.push_async_callback(server.stop)
    ledger.record_socket(str(where))
