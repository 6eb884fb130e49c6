"""The bytes behind a name: a file, or a pipe such as standard input."""

import hashlib
import os
import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from dispatcher.ports import SourceError
from dispatcher.sources.files.decompression import text_of
from dispatcher.sources.files.seekable_content import (
    CHUNK_BYTES,
    HEAD_BYTES,
    BeforeRead,
    ChangedError,
    SeekableContent,
    skip_bytes,
)

_POLL_MILLISECONDS = 100


def printable_path(path: str) -> str:
    """Return a path as text that can be stored and printed, whatever bytes its name has."""
    return os.fsencode(path).decode(errors="replace")


class FileContent(SeekableContent):
    """A regular file, open for reading. Use it as a context manager.

    The fingerprint covers the first 64 KiB, the size and the time of change, as they are when
    the file is opened. Size and time of change are compared after each read, and bytes that were
    read after a change are not yielded.

    Raises:
        SourceError: the file cannot be opened or read.
        ChangedError: it has changed since it was opened.

    """

    def __init__(self, path: str) -> None:
        name = printable_path(path)
        with source_errors(name), ExitStack() as undo:
            file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - closed in __exit__
            undo.callback(file.close)
            self._stat = os.fstat(file.fileno())
            head = file.read(HEAD_BYTES)
            undo.pop_all()
        version = f"\0{self._stat.st_size}\0{self._stat.st_mtime_ns}".encode()
        super().__init__(name, hashlib.sha256(head + version).hexdigest(), file)
        self._head = head

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with source_errors(self.name):
            yield
            now = os.fstat(self._file.fileno())
        self._check_same(now)

    def _check_same(self, now: os.stat_result) -> None:
        before = self._stat
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ChangedError(
                f"{self.name}: it changed while it was read ({before.st_size:,} bytes before, "
                f"{now.st_size:,} now). Run again once it is complete: it is then read from its "
                "beginning, and rows that are known are duplicates. To prevent this, write the "
                "file under another name and rename it"
            )


class PipeContent:
    """A descriptor whose bytes, compressed or not, are read as they arrive; it is not closed.

    It has no fingerprint, because it can be read only once.
    """

    fingerprint: None = None

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor

    def chunks(self, offset: int, before_read: BeforeRead) -> Iterator[bytes]:
        """Yield the text as `FileContent.chunks` does; ``offset`` must be 0."""
        return skip_bytes(text_of(self._raw(before_read), self.name), offset)

    def _raw(self, before_read: BeforeRead) -> Iterator[bytes]:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        while True:
            before_read()
            if not poller.poll(_POLL_MILLISECONDS):
                continue
            try:
                with source_errors(self.name):
                    chunk = os.read(self._descriptor, CHUNK_BYTES)
            except BlockingIOError:
                continue
            if not chunk:
                return
            yield chunk


Content = SeekableContent | PipeContent


@contextmanager
def source_errors(path: str) -> Iterator[None]:
    """Turn an error of the operating system into a `SourceError` that names the path."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror or error}); "
            "check that it exists and that this user may read it"
        ) from error
