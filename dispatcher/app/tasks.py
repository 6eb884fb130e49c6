"""Ends tasks of the event loop."""

import asyncio


async def cancel_and_wait(task: "asyncio.Future[None]") -> None:
    """Cancel a task, and wait for its end, whatever its result is."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
