"""Counts the standbys, so that the loss of the last one is noticed in time."""

import asyncio
from contextlib import AsyncExitStack

from dispatcher.app.leadership import Leadership
from dispatcher.app.ledger_presence import LedgerPresence
from dispatcher.app.tasks import cancel_and_wait
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.domain.events import StandbysCounted
from dispatcher.ports import LedgerError
from dispatcher.ports.questions import StandbyCount

LOOK_SECONDS = 15.0
"""How often a leader counts."""


class StandbyCounter:
    """Counts while this run leads, once there was a standby: this run itself, or another one.

    A dispatcher that is alone on purpose has none to lose.
    """

    def __init__(
        self, ledger: LedgerPresence, leadership: Leadership, telemetry: RunTelemetry
    ) -> None:
        self._ledger, self._leadership, self._telemetry = ledger, leadership, telemetry

    def start(self, stack: AsyncExitStack) -> None:
        """Count until the stack is closed."""
        stack.push_async_callback(cancel_and_wait, asyncio.ensure_future(self._count()))

    async def _count(self) -> None:
        has_had_one = False
        while True:
            store = self._ledger.store
            if store is not None and self._ledger.leads:
                try:
                    count = await store.look(StandbyCount())
                except LedgerError:  # whatever is written next reports it
                    return
                has_had_one = has_had_one or self._leadership.has_waited or count > 0
                if has_had_one:
                    self._telemetry.shared_sink.emit(StandbysCounted(count))
            await asyncio.sleep(LOOK_SECONDS)
