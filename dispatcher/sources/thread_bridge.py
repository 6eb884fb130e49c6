"""From a thread that reads and blocks to the event loop that does not."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

from dispatcher.ports import Batch, SourceError

AHEAD = 3
"""Batches that the thread may be ahead of the event loop."""

_CLOSED = "the reader was closed"


class ReaderClosedError(Exception):
    """The reading thread is to end: nobody takes batches any more."""


class BatchChannel:
    """The thread's side: where batches go. Every method raises `StoppedError` once closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._room = threading.Semaphore(AHEAD)
        self._closed = threading.Event()
        self._queue = asyncio.Queue[Batch | Exception | None]()

    def put(self, batch: Batch) -> None:
        """Hand a batch over; blocks while the event loop is behind."""
        self._room.acquire()
        self.check()
        self._send(batch)

    def check(self) -> None:
        """Do nothing, as long as somebody takes batches."""
        if self._closed.is_set():
            raise ReaderClosedError(_CLOSED)

    def wait(self, seconds: float) -> None:
        """Sleep; ends early when closed."""
        if self._closed.wait(seconds):
            raise ReaderClosedError(_CLOSED)

    def finish(self, error: Exception | None) -> None:
        """Tell that no batch comes any more, and why if that is a mistake."""
        self.check()
        self._send(error)

    async def get(self) -> Batch | None:
        """Take the next batch on the event loop's side; None at the end."""
        found = await self._queue.get()
        self._room.release()
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Let the thread end, wherever it waits."""
        self._closed.set()
        self._room.release()

    def _send(self, what: Batch | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, what)
        except RuntimeError as error:  # the loop is closed
            raise ReaderClosedError(_CLOSED) from error


async def iterate_in_thread(work: Callable[[BatchChannel], None]) -> AsyncIterator[Batch]:
    """Yield the batches that ``work`` puts out in a daemon thread of its own.

    The thread keeps nothing alive: neither the process, nor, once the iterator is closed, its
    own reading.

    Raises:
        SourceError: what ``work`` raised.

    """
    outlet = BatchChannel(asyncio.get_running_loop())
    threading.Thread(target=_run, args=(work, outlet), name="source", daemon=True).start()
    try:
        while (batch := await outlet.get()) is not None:
            yield batch
    finally:
        outlet.close()


def _run(work: Callable[[BatchChannel], None], outlet: BatchChannel) -> None:
    try:
        error: Exception | None = None
        try:
            work(outlet)
        except SourceError as failed:
            error = failed
        except ReaderClosedError:
            return
        except Exception as bug:  # noqa: BLE001 - a bug must reach the event loop, not end in a thread
            error = bug
        outlet.finish(error)
    except ReaderClosedError:
        return
