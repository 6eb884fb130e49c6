"""Waits as standby while other daemons have leases of this run."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from dispatcher.app.http_intake import refuse_posts
from dispatcher.app.leadership import Leadership
from dispatcher.app.progress_view import ProgressView
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.ports import Lease, Store
from dispatcher.settings import Settings

LOOK_SECONDS = 1.0
"""How often a standby looks whether it can take over."""


class Standby:
    """The leases of a run whose ledger is on a server.

    ``posted`` are the settings of the campaigns whose contacts may be posted.
    """

    def __init__(
        self, store: Store, leadership: Leadership, telemetry: RunTelemetry,
        view: ProgressView | None, posted: Sequence[Settings],
    ) -> None:  # fmt: skip
        self._store, self._leadership = store, leadership
        self._telemetry, self._view, self._posted = telemetry, view, posted

    async def take(self, leases: Sequence[Lease]) -> None:
        """Return when the run has all of its leases. Until then it shows who has them.

        Raises:
            LedgerError: the store has failed for good.

        """
        async with AsyncExitStack() as waiting:
            while held := await self._store.try_take(leases):
                is_first = not self._leadership.held
                self._leadership.note_waiting(held)
                if is_first:
                    await self._begin(waiting)
                if self._view is not None:
                    self._view.show_standby(self._leadership.words())
                await asyncio.sleep(LOOK_SECONDS)
        self._leadership.note_leading()

    async def _begin(self, waiting: AsyncExitStack) -> None:
        """Begin what a standby does beside its health."""
        self._telemetry.begin_standby()
        if self._view is not None:
            waiting.enter_context(self._view)
        await refuse_posts(waiting, self._posted, self._leadership.words)
