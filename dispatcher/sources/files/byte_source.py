"""The bytes behind a name: a file, or a pipe such as standard input."""

import hashlib
import os
import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from dispatcher.ports import SourceError
from dispatcher.sources.files.decompression import (
    Compression,
    compression_of,
    decompressed,
    sniffed,
)

_CHUNK = 1 << 16
_HEAD = 1 << 16
_POLL_MILLISECONDS = 100

_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}

Pause = Callable[[], None]
"""Called before every read that may block."""


def shown(path: str) -> str:
    """Return a path as text that can be stored and printed, whatever bytes its name has."""
    return os.fsencode(path).decode(errors="replace")


class ChangedError(SourceError):
    """A file is not the one any more that reading began with."""


class Content(Protocol):
    """Something that can be read. ``fingerprint`` is None where it can be read only once."""

    @property
    def name(self) -> str:
        """The path as it was given, as text."""
        ...

    @property
    def fingerprint(self) -> str | None:
        """What tells this content from another under the same name."""
        ...

    def chunks(self, offset: int, pause: Pause) -> Iterator[bytes]:
        """Yield the decompressed bytes from ``offset`` on."""
        ...


class FileContent:
    """A regular file, open for reading. Use it as a context manager.

    The fingerprint covers the first 64 KiB, the size and the time of change, as they are when
    the file is opened. ``.gz`` and ``.zst`` are decompressed, and so is what begins like them.
    What is read while size or time of change stay the same is of one piece; nothing is
    yielded that was read after a change.

    Raises:
        SourceError: the file cannot be opened or read.
        ChangedError: it has changed since it was opened.

    """

    def __init__(self, path: str) -> None:
        self.name = shown(path)
        with _readable(self.name), ExitStack() as undo:
            self._file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - closed in __exit__
            undo.callback(self._file.close)
            self._stat = os.fstat(self._file.fileno())
            head = self._file.read(_HEAD)
            undo.pop_all()
        told = f"\0{self._stat.st_size}\0{self._stat.st_mtime_ns}".encode()
        self.fingerprint = hashlib.sha256(head + told).hexdigest()
        self._compression = _COMPRESSIONS.get(Path(path).suffix.lower(), compression_of(head))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def chunks(self, offset: int, pause: Pause) -> Iterator[bytes]:
        """Yield the decompressed bytes from ``offset`` on."""
        if self._compression is None:
            return self._raw(offset, pause)
        return _behind(decompressed(self._raw(0, pause), self._compression), offset)

    def _raw(self, offset: int, pause: Pause) -> Iterator[bytes]:
        with _readable(self.name):
            self._file.seek(offset)
        while True:
            pause()
            with _readable(self.name):
                chunk = self._file.read(_CHUNK)
                now = os.fstat(self._file.fileno())
            self._check_same(now)
            if not chunk:
                return
            yield chunk

    def _check_same(self, now: os.stat_result) -> None:
        before = self._stat
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ChangedError(
                f"{self.name}: it changed while it was read ({before.st_size:,} bytes before, "
                f"{now.st_size:,} now); once it is complete run again: it is then read from its "
                "beginning, and rows that are known are duplicates. Write under another name "
                "and rename, and this cannot happen"
            )


class PipeContent:
    """A descriptor that is read as its bytes come, compressed or not; it is left open."""

    fingerprint = None

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor

    def chunks(self, offset: int, pause: Pause) -> Iterator[bytes]:
        """Yield the decompressed bytes; ``offset`` must be 0."""
        return _behind(sniffed(self._raw(pause)), offset)

    def _raw(self, pause: Pause) -> Iterator[bytes]:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        while True:
            pause()
            if not poller.poll(_POLL_MILLISECONDS):
                continue
            try:
                with _readable(self.name):
                    chunk = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                return
            yield chunk


class _readable:  # noqa: N801 - used like a function: with _readable(path)
    """Turns an error of the operating system into a `SourceError` that names the path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, BlockingIOError):
            raise SourceError(
                f"{self._path}: cannot be read ({error.strerror or error}); "
                "check that it is there and that this user may read it"
            ) from error


def _behind(chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
    """Drop the first ``offset`` bytes."""
    for chunk in chunks:
        if len(chunk) > offset:
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))
