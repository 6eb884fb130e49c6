"""The log lines about metrics that an agent does not take, a few for however many packets."""

import time
from typing import Any

LOG_SECONDS = 60.0
"""How often the log says that metrics are not delivered."""


class UndeliveredLog:
    """Logs ``statsd.undelivered`` at most once a minute, and ``statsd.delivered`` when it is over.

    At the end of a run, ``statsd.lost`` says what never reached the agent. Together the lines name
    every metric that was given up (``dropped``). Metrics that wait for the agent are only counted
    (``waiting``): they are delivered later.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._next = 0.0
        self._failed_since: float | None = None
        self._dropped = 0

    def failed(self, detail: str, waiting: int, dropped: int) -> None:
        """Take note that a flush failed; ``dropped`` metrics were given up since the last call."""
        now = time.monotonic()
        self._dropped += dropped
        if self._failed_since is None:
            self._failed_since = now
        if now >= self._next:
            self._next = now + LOG_SECONDS
            self._log.warning(
                "statsd.undelivered", detail=detail, waiting=waiting, dropped=self._take_dropped()
            )

    def delivered(self, dropped: int) -> None:
        """Take note that a flush succeeded."""
        self._dropped += dropped
        if self._failed_since is None:
            return
        seconds = round(time.monotonic() - self._failed_since, 1)
        self._failed_since = None
        self._log.info("statsd.delivered", seconds=seconds, dropped=self._take_dropped())

    def ended(self, detail: str, lost: int) -> None:
        """Take note that the run ends, and that ``lost`` metrics do not reach the agent."""
        self._dropped += lost
        if self._dropped:
            self._log.warning("statsd.lost", detail=detail, dropped=self._take_dropped())

    def _take_dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped
