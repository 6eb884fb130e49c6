"""The real clock."""

import asyncio
import time


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        """See `dispatcher.ports.Clock.sleep`."""
        await asyncio.sleep(seconds)
