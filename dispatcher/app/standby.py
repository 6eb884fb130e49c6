"""Waits as standby while other daemons have leases of this run, and reports whether it leads."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from dispatcher.app.http_intake import refuse_posts
from dispatcher.app.leadership import Leadership, stop, utc
from dispatcher.app.progress_view import ProgressView
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.domain.events import LeaderState
from dispatcher.ports import Lease, Store
from dispatcher.settings import Settings

LOOK_SECONDS = 1.0
"""How often a standby looks whether it can take over."""
STATE_SECONDS = 2.0
"""How often it is reported whether the run leads."""


class Standby:
    """The leases of a run whose ledger is on a server.

    ``posted`` are the settings of the campaigns whose contacts may be posted. ``log`` has the
    campaign.
    """

    def __init__(
        self, store: Store, leadership: Leadership, telemetry: RunTelemetry,
        view: ProgressView | None, posted: Sequence[Settings], log: Any,
    ) -> None:  # fmt: skip
        self._store, self._leadership, self._log = store, leadership, log
        self._telemetry, self._view, self._posted = telemetry, view, posted

    async def take(self, leases: Sequence[Lease]) -> None:
        """Return when the run has all of its leases. Until then it shows who has them.

        Raises:
            LedgerError: the store has failed for good.

        """
        async with AsyncExitStack() as waiting:
            while held := await self._store.try_take(leases):
                is_first = not self._leadership.held
                self._leadership.wait_for(held)
                if is_first:
                    await self._begin(waiting)
                if self._view is not None:
                    self._view.show_standby(self._leadership.words())
                await asyncio.sleep(LOOK_SECONDS)
        self._leadership.lead()

    async def _begin(self, waiting: AsyncExitStack) -> None:
        """Begin what a standby does beside its health."""
        self._telemetry.begin_standby()
        if self._view is not None:
            waiting.enter_context(self._view)
        await refuse_posts(waiting, self._posted, self._leadership.words)

    def report(self, stack: AsyncExitStack) -> None:
        """Report whether the run leads and the ledger answers, until the stack is closed."""
        stack.push_async_callback(stop, asyncio.ensure_future(self._report()))

    async def _report(self) -> None:
        known: float | None = None
        while True:
            since, now = self._store.away_since, time.time()
            if since is not None and known is None:
                self._log.warning("ledger.away", since=utc(since))
            if since is None and known is not None:
                self._log.info("ledger.back", away_seconds=round(now - known, 1))
            known = since
            away = 0.0 if since is None else max(0.0, now - since)
            self._telemetry.shared_sink.emit(LeaderState(self._leadership.leading, away))
            await asyncio.sleep(STATE_SECONDS)
