"""Runs blocking calls in threads beside the event loop, each with a time limit."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from dispatcher.ports import CredentialsUnavailableError

T = TypeVar("T")

MOST_THREADS = 4
"""Calls that may still hang after their time limit; while there are so many, none is started."""


class BlockingCaller:
    """Runs blocking calls, one at a time, in threads that the end of the process ends.

    ``what`` names the called service in messages. ``translate`` turns an exception of a library
    into the one that is raised, which then carries no data of the library.
    """

    def __init__(
        self, what: str, seconds: float, translate: Callable[[Exception], Exception] = lambda e: e
    ) -> None:
        self._what = what
        self._seconds = seconds
        self._translate = translate
        self._calling = asyncio.Lock()
        self._threads = threading.Semaphore(MOST_THREADS)

    async def call(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; a second call waits for the end of the first.

        Raises:
            CredentialsUnavailableError: the call took too long, or too many earlier calls hang.

        """
        async with self._calling:
            if not self._threads.acquire(blocking=False):
                raise CredentialsUnavailableError(f"{self._what} has not answered earlier calls")
            future: Future[T] = Future()
            future.set_running_or_notify_cancel()  # a caller that is cancelled leaves it running
            name = f"credentials {self._what}"
            threading.Thread(target=self._run, args=(work, future), name=name, daemon=True).start()
            try:
                async with asyncio.timeout(self._seconds):
                    return await asyncio.wrap_future(future)
            except TimeoutError:
                pass
        raise CredentialsUnavailableError(
            f"{self._what} did not answer within {self._seconds:g} s: check that it can be"
            " reached from here, or raise credentials.wait_seconds"
        )

    def _run(self, work: Callable[[], T], future: "Future[T]") -> None:
        try:
            end = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 - the caller gets it
            end = partial(future.set_exception, self._translated(error))
        self._threads.release()
        end()

    def _translated(self, error: Exception) -> Exception:
        try:
            return self._translate(error)
        except Exception as failure:  # noqa: BLE001 - the caller gets it, and does not wait on
            return failure
