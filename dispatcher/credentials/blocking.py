"""Blocking calls beside the event loop: few at a time, and none waited for without end."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from dispatcher.ports import CredentialsUnavailableError

T = TypeVar("T")

MOST_THREADS = 4
"""Calls that may hang although they were given up; while so many do, no further one is begun."""


class BlockingCaller:
    """Runs blocking calls, one at a time, in threads that end with the process at the latest.

    ``what`` names for people what is called. ``judge`` makes of an exception of a library the
    one that is raised, which then carries nothing of what the library knew.
    """

    def __init__(
        self, what: str, seconds: float, judge: Callable[[Exception], Exception] = lambda e: e
    ) -> None:
        self._what = what
        self._seconds = seconds
        self._judge = judge
        self._turn = asyncio.Lock()
        self._running = threading.Semaphore(MOST_THREADS)

    async def call(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; one call follows the other.

        Raises:
            CredentialsUnavailableError: it takes too long, or too many that were given up still do.

        """
        async with self._turn:
            return await self._call(work)

    async def _call(self, work: Callable[[], T]) -> T:
        if not self._running.acquire(blocking=False):
            raise CredentialsUnavailableError(f"{self._what} still owes earlier answers")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        name = f"credentials {self._what}"
        threading.Thread(target=self._run, args=(work, future), name=name, daemon=True).start()
        try:
            async with asyncio.timeout(self._seconds):
                return await future
        except TimeoutError:
            pass
        raise CredentialsUnavailableError(
            f"{self._what} did not answer within {self._seconds:g} s: look whether it can be"
            " reached from here, or raise credentials.wait_seconds"
        )

    def _run(self, work: Callable[[], T], future: "asyncio.Future[T]") -> None:
        done = self._done(work, future)
        self._running.release()
        with suppress(RuntimeError):  # the loop may have ended while the call hung
            future.get_loop().call_soon_threadsafe(done)

    def _done(self, work: Callable[[], T], future: "asyncio.Future[T]") -> Callable[[], None]:
        """Do the work, and return what tells its end to whoever still waits."""
        try:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                failure = self._judge(error)
            else:
                return lambda: None if future.done() else future.set_result(result)
        except Exception as error:  # noqa: BLE001 - a judge that fails must not leave anybody waiting
            failure = error
        return lambda: None if future.done() else future.set_exception(failure)
