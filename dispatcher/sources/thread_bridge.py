"""Passes batches from the blocking reading thread to the event loop."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from dispatcher.ports import Batch, Stream

AHEAD = 3
"""Batches that the thread may be ahead of the event loop."""

_CLOSED = "the reader was closed"


class ReaderClosedError(Exception):
    """The reading thread has to end, because batches are no longer taken."""


class BatchChannel:
    """A bounded queue of batches from the reading thread to the event loop.

    ``known`` has the streams in the ledger. Each batch gets the place of its stream before it.

    The thread's methods (put, check, wait, finish) raise `ReaderClosedError` once it is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, known: Mapping[str, Stream]) -> None:
        self._loop = loop
        self._places = {fingerprint: stream.at for fingerprint, stream in known.items()}
        self._slots = threading.Semaphore(AHEAD)
        self._closed = threading.Event()
        self._queue = asyncio.Queue[Batch | Exception | None]()

    def put(self, batch: Batch) -> None:
        """Send a batch; block while the event loop is behind."""
        self._slots.acquire()
        self.check()
        stream = batch.stream
        if stream is not None:
            batch = replace(batch, before=self._places.get(stream.fingerprint))
            self._places[stream.fingerprint] = stream.at
        self._send(batch)

    def check(self) -> None:
        """Do nothing while the channel is open."""
        if self._closed.is_set():
            raise ReaderClosedError(_CLOSED)

    def wait(self, seconds: float) -> None:
        """Sleep; end early when the channel is closed."""
        if self._closed.wait(seconds):
            raise ReaderClosedError(_CLOSED)

    def finish(self, error: Exception | None) -> None:
        """Mark the end of the batches, with the error that ended them if there was one."""
        self.check()
        self._send(error)

    async def get(self) -> Batch | None:
        """Take the next batch, in the event loop; None at the end."""
        item = await self._queue.get()
        self._slots.release()
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Make the thread end, wherever it waits."""
        self._closed.set()
        self._slots.release()

    def _send(self, item: Batch | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError as error:  # the loop is closed
            raise ReaderClosedError(_CLOSED) from error


async def iterate_in_thread(
    work: Callable[[BatchChannel], None], known: Mapping[str, Stream]
) -> AsyncGenerator[Batch, None]:
    """Run ``work`` in a daemon thread and yield the batches that it puts into the channel.

    ``known`` has the streams in the ledger, by fingerprint.

    The thread does not keep the process alive, and ends once the iterator is closed.

    Raises:
        SourceError: what ``work`` raised.

    """
    channel = BatchChannel(asyncio.get_running_loop(), known)
    threading.Thread(target=_run, args=(work, channel), name="source", daemon=True).start()
    try:
        while (batch := await channel.get()) is not None:
            yield batch
    finally:
        channel.close()


def _run(work: Callable[[BatchChannel], None], channel: BatchChannel) -> None:
    error: Exception | None = None
    with suppress(ReaderClosedError):
        try:
            work(channel)
        except ReaderClosedError:
            return
        except Exception as raised:  # noqa: BLE001 - raised again in the event loop, a bug too
            error = raised
        channel.finish(error)
