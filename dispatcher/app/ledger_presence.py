"""Opens the ledger of a run, waits for its server, and reports whether that answers."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from dispatcher.app.leadership import Leadership, utc
from dispatcher.app.tasks import cancel_and_wait
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.domain.events import LeaderState
from dispatcher.ports import LedgerAwayError, LedgerError, Store
from dispatcher.settings.ledger import LedgerSettings

STATE_SECONDS = 2.0
"""How often it is reported whether the run leads and the ledger answers."""
REMIND_SECONDS = 60.0
"""How often the log says again that the ledger is away."""
ONCE_SECONDS = 120.0
"""How long a run with an end waits at its start: as a failover takes, or a start of the server.
What has started it sees its exit code, and can start it again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class LedgerPresence:
    """Whether the ledger of a run answers, from the start of the run on.

    ``log`` has the campaign.
    """

    def __init__(self, leadership: Leadership, telemetry: RunTelemetry, log: Any) -> None:
        self._leadership, self._telemetry, self._log = leadership, telemetry, log
        self._missed_since: float | None = None
        self._why = ""
        self.store: Store | None = None
        """None until it is open."""

    @property
    def away_since(self) -> float | None:
        """Since when the ledger does not answer (seconds since the epoch); None: it answers."""
        return self._missed_since if self.store is None else self.store.away_since

    @property
    def is_waiting(self) -> bool:
        """Whether the run waits for the server before it has opened the ledger."""
        return self.store is None and self._missed_since is not None

    @property
    def leads(self) -> bool:
        """Whether the run has its leases, and none of them can have run out."""
        store = self.store
        return (
            self._leadership.leading and store is not None and store.tenure.remaining_seconds() > 0
        )

    async def open(
        self, open_store: Callable[[], Awaitable[Store]], ledger: LedgerSettings, *, once: bool
    ) -> Store:
        """Return the open store. While its server is away, try again.

        It waits as long as a run does later on, with ``once`` for `ONCE_SECONDS` at most.

        Raises:
            LedgerError: it cannot be used, or the server was away for too long.

        """
        limit = ledger.away_minutes * 60.0
        limit = min(limit, ONCE_SECONDS) if once else limit
        loop = asyncio.get_running_loop()
        began, tries = loop.time(), 0
        while True:
            try:
                self.store = await open_store()
            except LedgerAwayError as error:
                left = began + limit - loop.time()
                if left <= 0:
                    raise _too_long(error, limit) from None
                self._miss(error)
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(tries, 10))
                await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311
                tries += 1
            else:
                return self.store

    def _miss(self, error: LedgerAwayError) -> None:
        """Note that the server did not answer: health and gauges report it from now on."""
        self._why = str(error)
        if self._missed_since is None:
            self._missed_since = time.time()
            self._telemetry.begin_standby()

    def report(self, stack: AsyncExitStack) -> None:
        """Report whether the run leads and the ledger answers, until the stack is closed."""
        stack.push_async_callback(cancel_and_wait, asyncio.ensure_future(self._report()))

    async def _report(self) -> None:
        known: float | None = None
        said = 0.0
        while True:
            since, now = self.away_since, time.time()
            away = 0.0 if since is None else max(0.0, now - since)
            if since is not None and (known is None or away - said >= REMIND_SECONDS):
                said = away
                self._log_away(since, away)
            if since is None and known is not None:
                self._log.info("ledger.back", away_seconds=round(now - known, 1))
            known = since
            waits = bool(self._leadership.held)
            self._telemetry.shared_sink.emit(LeaderState(self.leads, away, waits))
            await asyncio.sleep(STATE_SECONDS)

    def _log_away(self, since: float, away: float) -> None:
        """Log since when the ledger is away, and what the server said."""
        words = self._why if self.store is None else self.store.away_reason
        why = {"detail": words} if words else {}
        self._log.warning("ledger.away", since=utc(since), away_seconds=round(away, 1), **why)


def _too_long(error: LedgerAwayError, seconds: float) -> LedgerError:
    return LedgerError(
        f"{error}. The run has waited for {seconds / 60:.1f} minutes, and has sent nothing. Start "
        "it again when the server is back"
    )
