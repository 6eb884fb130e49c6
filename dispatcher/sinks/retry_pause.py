"""The pauses between the tries of a sink that is away."""

import asyncio
import random
from contextlib import suppress

from dispatcher.domain.growing_pause import GrowingPause


class RetryPause:
    """Pauses that grow while a sink is away; one of them can be cut short.

    The end of a run does so: a sink that is back by then is tried, however long the pause has
    grown.
    """

    def __init__(self) -> None:
        self._pause = GrowingPause(random.random)
        self._try_now = asyncio.Event()

    def reset(self) -> None:
        """Begin with the shortest pause again; the sink has answered."""
        self._pause.reset()

    def cut_short(self) -> None:
        """End the pause that is waited for, or leave out the next one."""
        self._try_now.set()

    async def wait(self) -> None:
        """Wait before the next try."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause.next()):
                await self._try_now.wait()
                self._try_now.clear()
                self._pause.reset()
