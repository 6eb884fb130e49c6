"""Whether the server answers, for the threads of a store; waits while it is away."""

import random
import threading
import time

from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error
from dispatcher.ports import LedgerError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
CLOSE_SECONDS = 30.0
"""How long a store that is closed waits for a server that is away."""


class Availability:
    """Since when the server is away, and why the store has failed for good, if it has."""

    def __init__(self, address: PostgresAddress) -> None:
        self.failure: LedgerError | None = None
        self.away_since: float | None = None
        self.away_reason = ""
        """What failed at last while the server is away."""
        self._address = address
        self._away_at = 0.0
        self._tries = 0
        self._closing_at: float | None = None
        self._wake = threading.Event()

    def close(self) -> None:
        """Wait no longer than `CLOSE_SECONDS` from now on."""
        if self._closing_at is None:
            self._closing_at = time.monotonic()

    def back(self) -> None:
        """Record that the server answers."""
        self.away_since, self.away_reason, self._tries = None, "", 0

    def wait(self, error: LedgerError) -> None:
        """Record that the server is away, and pause before the next try.

        Raises:
            LedgerError: it has been away for too long.

        """
        now = time.monotonic()
        if self.away_since is None:
            self._away_at, self.away_since = now, time.time()
        self.away_reason = str(error)
        limit = self._away_at + self._address.away_seconds
        if self._closing_at is not None:
            limit = min(limit, max(self._closing_at, self._away_at) + CLOSE_SECONDS)
        if now >= limit:
            minutes = (now - self._away_at) / 60
            self.failure = self.failure or ledger_error(
                self._address,
                f"the server has not answered for {minutes:.1f} minutes; the last error: {error}. "
                "Start again when it is back: nothing that was committed is lost",
            )
        if self.failure is not None:
            raise self.failure
        self._tries += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._tries, 10))
        self._wake.wait(min(pause * random.uniform(0.5, 1.0), max(0.0, limit - now)))  # noqa: S311
