"""Content that is read at any place: its format, its text from an offset on, its table."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import BinaryIO, Literal, Self

from dispatcher.ports import SourceError
from dispatcher.sources.files.archive import is_zip, zip_kind, zip_member
from dispatcher.sources.files.decompression import is_plain, text_of
from dispatcher.sources.files.signatures import PARQUET_MAGIC, check_format

CHUNK_BYTES = 1 << 16
HEAD_BYTES = 1 << 16

TableFormat = Literal["parquet", "xlsx"]

BeforeRead = Callable[[], None]
"""Called before every read that may block."""


class ChangedError(SourceError):
    """A content changed after it was opened."""


class SeekableContent(ABC):
    """One version of a content that can be read at any place. Use it as a context manager.

    ``name`` is for people, ``fingerprint`` identifies the content. The first bytes say how it is
    compressed, not its name. All bytes that are yielded are of one version.

    Raises:
        SourceError: it cannot be opened or read.
        ChangedError: it has changed since it was opened.

    """

    def __init__(self, name: str, fingerprint: str, file: BinaryIO) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @abstractmethod
    def _reading(self) -> AbstractContextManager[None]:
        """Return what is put around each read: it raises what this content raises."""

    @cached_property
    def _head(self) -> bytes:
        with self._reading():
            self._file.seek(0)
            return self._file.read(HEAD_BYTES)

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
        with self._reading():
            yield self._file

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
        return skip_bytes(text_of(raw, self.name), offset)

    def checked(self, raw: Iterator[bytes], before_read: BeforeRead) -> Iterator[bytes]:
        """Yield chunks that another reader reads from the file, unless it has changed.

        Raises:
            ChangedError: it has changed since it was opened.

        """
        while True:
            before_read()
            with self._reading():
                chunk = next(raw, None)
            if chunk is None:
                return
            yield chunk

    def _raw(self, offset: int, before_read: BeforeRead) -> Iterator[bytes]:
        with self._reading():
            self._file.seek(offset)
        while True:
            before_read()
            with self._reading():
                chunk = self._file.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


def skip_bytes(chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
    """Drop the first ``offset`` bytes."""
    for chunk in chunks:
        if len(chunk) > offset:
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))
