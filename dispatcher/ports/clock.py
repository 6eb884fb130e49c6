"""Time."""

from typing import Protocol


class Clock(Protocol):
    """Time as the run sees it; tests pass one that they control."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
