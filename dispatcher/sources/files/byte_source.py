"""The bytes behind a name: a file, or a pipe such as standard input."""

import hashlib
import os
import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, Self

from dispatcher.ports import SourceError
from dispatcher.sources.files.archive import is_zip, zip_kind, zip_member
from dispatcher.sources.files.decompression import is_plain, text_of
from dispatcher.sources.files.signatures import PARQUET_MAGIC, check_format

_CHUNK = 1 << 16
_HEAD = 1 << 16
_POLL_MILLISECONDS = 100

TableFormat = Literal["parquet", "xlsx"]

BeforeRead = Callable[[], None]
"""Called before every read that may block."""


def printable_path(path: str) -> str:
    """Return a path as text that can be stored and printed, whatever bytes its name has."""
    return os.fsencode(path).decode(errors="replace")


class ChangedError(SourceError):
    """A file changed after it was opened."""


class FileContent:
    """A regular file, open for reading. Use it as a context manager.

    The fingerprint covers the first 64 KiB, the size and the time of change, as they are when
    the file is opened. The first bytes say how the content is compressed, not its name. All bytes
    that are yielded are of one version of the file: size and time of change are compared after
    each read, and bytes that were read after a change are not yielded.

    Raises:
        SourceError: the file cannot be opened or read.
        ChangedError: it has changed since it was opened.

    """

    def __init__(self, path: str) -> None:
        self.name = printable_path(path)
        with source_errors(self.name), ExitStack() as undo:
            self._file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - closed in __exit__
            undo.callback(self._file.close)
            self._stat = os.fstat(self._file.fileno())
            head = self._file.read(_HEAD)
            undo.pop_all()
        version = f"\0{self._stat.st_size}\0{self._stat.st_mtime_ns}".encode()
        self.fingerprint = hashlib.sha256(head + version).hexdigest()
        self._head = head

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def table_format(self) -> TableFormat | None:
        """The format of a content that is a table of cells; None for text.

        Raises:
            UnreadableFormatError: it is an archive that is damaged or has no single file.

        """
        if self._head.startswith(PARQUET_MAGIC):
            return "parquet"
        return zip_kind(self._file, self.name) if is_zip(self._head) else None

    @contextmanager
    def table_file(self) -> Iterator[BinaryIO]:
        """Return the open file of a table; compare its version when the block ends.

        Raises:
            ChangedError: it has changed since it was opened.

        """
        with source_errors(self.name):
            yield self._file
            now = os.fstat(self._file.fileno())
        self._check_same(now)

    def chunks(self, offset: int, before_read: BeforeRead) -> Iterator[bytes]:
        """Yield the text from ``offset`` on, decompressed and in UTF-8.

        Raises:
            UnreadableFormatError: the content has a format that is not read.

        """
        if is_zip(self._head):
            raw = self.checked(zip_member(self._file, self.name), before_read)
        elif is_plain(self._head):
            check_format(self._head, self.name)
            return self._raw(offset, before_read)
        else:
            raw = self._raw(0, before_read)
        return _skip(text_of(raw, self.name), offset)

    def checked(self, raw: Iterator[bytes], before_read: BeforeRead) -> Iterator[bytes]:
        """Yield chunks that another reader reads from the file, unless it has changed.

        Raises:
            ChangedError: it has changed since it was opened.

        """
        while True:
            before_read()
            with self.table_file():
                chunk = next(raw, None)
            if chunk is None:
                return
            yield chunk

    def _raw(self, offset: int, before_read: BeforeRead) -> Iterator[bytes]:
        with source_errors(self.name):
            self._file.seek(offset)
        while True:
            before_read()
            with source_errors(self.name):
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
        return _skip(text_of(self._raw(before_read), self.name), offset)

    def _raw(self, before_read: BeforeRead) -> Iterator[bytes]:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        while True:
            before_read()
            if not poller.poll(_POLL_MILLISECONDS):
                continue
            try:
                with source_errors(self.name):
                    chunk = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                return
            yield chunk


Content = FileContent | PipeContent


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


def _skip(chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
    """Drop the first ``offset`` bytes."""
    for chunk in chunks:
        if len(chunk) > offset:
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))
