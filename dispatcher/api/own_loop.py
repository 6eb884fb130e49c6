"""Runs a coroutine to its end in an event loop of its own, also where another loop runs."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

import uvloop

T = TypeVar("T")

MOST_INTERRUPTS = 2
"""Interrupts that are passed on: the first one drains a dispatch, the second one stops it."""


def run_to_end(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a thread with a loop of its own; return what it returns.

    A KeyboardInterrupt cancels the coroutine, and then waits for its end. A third one leaves it.

    Raises:
        KeyboardInterrupt: the coroutine was cancelled by it.

    """
    loop_thread = _LoopThread(make)
    interrupts = 0
    loop_thread.start()
    while True:
        try:
            loop_thread.wait()
            break
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > MOST_INTERRUPTS:
                raise
            loop_thread.cancel()
    try:
        return loop_thread.result()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class _LoopThread(Generic[T]):
    """A thread that runs one coroutine; its context is that of the caller."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._task: asyncio.Task[T] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancelled = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="dispatcher", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the coroutine."""
        self._ended.wait()

    def cancel(self) -> None:
        """Cancel the coroutine, also before it begins."""
        with self._lock:
            self._cancelled = True
            loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(task.cancel)

    def result(self) -> T:
        """Return what the coroutine returned, or raise what it raised."""
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                self._results.append(runner.run(self._main()))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._errors.append(error)
        finally:
            self._ended.set()

    async def _main(self) -> T:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            if self._cancelled:
                raise asyncio.CancelledError
        return await self._make()
