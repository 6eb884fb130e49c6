"""The clock."""

from typing import Protocol


class Clock(Protocol):
    """The time; tests replace it by a clock that they control."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that is never set."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        ...
