"""The real clock."""

import asyncio
import time


class SystemClock:
    """Time as the machine has it."""

    def time(self) -> float:
        """See `dispatcher.ports.Clock.time`."""
        return time.time()

    def monotonic(self) -> float:
        """See `dispatcher.ports.Clock.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `dispatcher.ports.Clock.sleep`."""
        await asyncio.sleep(seconds)
