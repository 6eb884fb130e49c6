"""The stream of a page: one snapshot a second for all readers, and a queue of one for each."""

import asyncio
import logging
from collections.abc import Callable, Mapping

Parts = Mapping[str, str]
"""Parts of a page by the name of their event."""

FEED_SECONDS = 1.0
"""How often the parts are made while somebody reads."""
MOST_READERS = 200
"""Readers at a time; further ones are refused."""
_LOG = logging.getLogger("dispatcher.http_server")


class Reader:
    """One reader: it gets the newest parts, and of them those that it does not have yet."""

    def __init__(self) -> None:
        self._newest: Mapping[str, bytes] | None = None
        self._known: dict[str, bytes] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, events: Mapping[str, bytes]) -> None:
        """Replace what waits for the reader."""
        self._newest = events
        self._changed.set()

    def close(self) -> None:
        """Let the reader end."""
        self._closed = True
        self._changed.set()

    async def next(self) -> bytes | None:
        """Return the next events; None at the end."""
        while not self._closed:
            await self._changed.wait()
            self._changed.clear()
            newest, self._newest = self._newest, None
            if newest is None:
                continue
            new = [event for name, event in newest.items() if self._known.get(name) != event]
            self._known.update(newest)
            if new:
                return b"".join(new)
        return None


class Feed:
    """Makes the parts while there are readers, once for all of them."""

    def __init__(self, make: Callable[[], Parts]) -> None:
        self._make = make
        self._readers: set[Reader] = set()
        self._task: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        """True if no further reader is accepted."""
        return self._closed or len(self._readers) >= MOST_READERS

    def join(self) -> Reader:
        """Return a new reader; the first one starts the feed."""
        reader = Reader()
        self._readers.add(reader)
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader; the last one stops the feed."""
        self._readers.discard(reader)
        if not self._readers and self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        """End all readers."""
        self._closed = True
        for reader in self._readers:
            reader.close()

    async def _run(self) -> None:
        try:
            while True:
                events = {name: encode(name, text) for name, text in self._make().items()}
                for reader in self._readers:
                    reader.put(events)
                await asyncio.sleep(FEED_SECONDS)
        except Exception:  # noqa: BLE001 - a defect, which is logged, must not end the run
            _LOG.exception("the page cannot be made")
            for reader in self._readers:
                reader.close()
            self._readers.clear()
            self._task = None


def encode(name: str, text: str) -> bytes:
    """Return an event as it is sent."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()
