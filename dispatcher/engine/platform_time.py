"""The time by the platform's clock."""

from dispatcher.ports import Clock


class PlatformTime:
    """Estimates the platform's time from the Date header of its answers.

    It runs evenly where the local wall clock jumps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zero: float | None = None  # the platform's time when the monotonic clock was at 0

    def synchronize(self, ahead: float) -> None:
        """Set it to ``ahead`` seconds after the local wall clock."""
        self._zero = self._clock.time() - self._clock.monotonic() + ahead

    def now(self) -> float:
        """Seconds since the epoch; the local wall clock's until an answer had a Date header."""
        if self._zero is None:
            return self._clock.time()
        return self._zero + self._clock.monotonic()
