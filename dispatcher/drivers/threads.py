"""Runs blocking calls of drivers in threads that the end of the process does not wait for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def call_in_thread(call: Callable[[], T]) -> T:
    """Return what a call of a driver returns, or raise what it raises.

    A server that is silent may keep the call for ever. So it has no thread of the event loop's
    executor, which is waited for at the end. A caller that is cancelled leaves the call running.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    threading.Thread(target=_run, args=(call, future), name="driver", daemon=True).start()
    return await asyncio.wrap_future(future)


def _run(call: Callable[[], T], future: "Future[T]") -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - raised again where the call is awaited
        future.set_exception(error)
    else:
        future.set_result(result)
