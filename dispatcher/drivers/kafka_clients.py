"""Starts and stops clients of aiokafka, so that none of their tasks and connections stays."""

import asyncio
import inspect
from collections.abc import Sequence
from typing import Any


async def start_client(client: Any, seconds: float) -> None:
    """Connect a client for at most ``seconds``; if that fails, nothing of it stays.

    Raises:
        KafkaError, OSError, TimeoutError: it does not connect; a login that is refused may raise
            others.

    """
    try:
        async with asyncio.timeout(seconds):
            await client.start()
    except BaseException:
        await stop_client(client, seconds)
        raise


async def stop_client(client: Any, seconds: float) -> None:
    """Stop a client: an admin client, a consumer or a producer.

    It has ``seconds`` to write what it holds, and to close its connections. Then, or if that fails,
    the rest of its tasks and connections is ended. This raises none of the library's errors.
    """
    # In a task of its own, because a consumer whose request has just failed raises CancelledError.
    stopping = asyncio.ensure_future(client.stop() if hasattr(client, "stop") else client.close())
    try:
        await asyncio.wait([stopping], timeout=seconds)
    finally:
        if not stopping.done() or stopping.cancelled() or stopping.exception():
            await _end(client, stopping)
        await asyncio.sleep(0)  # the library does not wait until its first connection is closed


async def _end(client: Any, stopping: asyncio.Future[None]) -> None:
    """End the tasks and the connections that the library leaves if its stop fails.

    The tasks would go on for ever, and would connect again and write once the brokers are back.
    """
    parts = [client, *(part for part in vars(client).values() if part is not None)]
    tasks = [stopping, *_tasks_of(parts)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for part in parts:
        for connection in tuple(getattr(part, "_conns", {}).values()):
            connection.close()


def _tasks_of(parts: Sequence[Any]) -> list[asyncio.Task[Any]]:
    """Return the tasks that run a method of one of the parts."""
    owners = set(map(id, parts))
    return [task for task in asyncio.all_tasks() if id(_owner(task)) in owners]


def _owner(task: asyncio.Task[Any]) -> object:
    coroutine = task.get_coro()
    if not inspect.iscoroutine(coroutine) or coroutine.cr_frame is None:
        return None
    return inspect.getcoroutinelocals(coroutine).get("self")
