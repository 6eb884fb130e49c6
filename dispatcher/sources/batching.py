"""Reads one content in the reading thread and groups its rows into batches."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.status import Irregularity
from dispatcher.ports import Batch, Stream
from dispatcher.sources.files.byte_source import Content
from dispatcher.sources.files.file_place import BEGINNING, FilePlace
from dispatcher.sources.files.seekable_content import BeforeRead, SeekableContent
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.csv_header import read_header
from dispatcher.sources.rows.csv_rows import CsvRows
from dispatcher.sources.rows.format import Shape, shape_of
from dispatcher.sources.rows.json_document import JsonDocument
from dispatcher.sources.rows.jsonl_rows import JsonRows
from dispatcher.sources.rows.line_reader import LineReader
from dispatcher.sources.rows.object_columns import check_objects, hold_back
from dispatcher.sources.rows.tables import open_table, table_reader
from dispatcher.sources.thread_bridge import BatchChannel

BATCH_ROWS = 256
_BATCH_BYTES = 1 << 20
_BATCH_SECONDS = 0.1
"""Rows of a slow pipe wait no longer than about twice this for a batch to fill."""

ParsedRow = Contact | RejectedRow | None


class Cursor(Protocol):
    """How far a content was read; see `LineReader` for the attributes."""

    offset: int
    total: int
    line: int
    damage: str | None
    torn: bytes


class Batcher:
    """Groups rows into batches and sends each with the place after its last row.

    ``has_rows`` says that there were rows before the place where reading begins.
    """

    def __init__(self, content: Content, channel: BatchChannel, *, has_rows: bool = False) -> None:
        self._content = content
        self._channel = channel
        self._reader: Cursor | None = None
        self._irregularities: Counter[Irregularity] = Counter()
        self._waiting_since: float | None = None
        self._has_rows = has_rows
        self._start_batch(0)

    def gather(
        self, rows: Iterator[ParsedRow], reader: Cursor, irregularities: Counter[Irregularity]
    ) -> None:
        """Take all rows; send a batch whenever it is full.

        Raises:
            ColumnsError: there is another header; the rows before it were sent.

        """
        self._reader = reader
        self._irregularities = irregularities
        try:
            self._take(rows, reader)
        except ColumnsError:
            self._flush(reader, done=False)
            raise

    def _take(self, rows: Iterator[ParsedRow], reader: Cursor) -> None:
        self._start_batch(reader.offset)
        for row in rows:
            if row.__class__ is Contact:
                self._contacts.append(row)
            elif isinstance(row, RejectedRow):
                self._rejected.append(row)
            self._rows += 1
            if self._rows >= BATCH_ROWS or reader.offset >= self._full_at:
                self._flush(reader, done=False)

    def finish(self, reader: Cursor, *rejected: RejectedRow) -> None:
        """Send the last batch, whose stream says that the content was read to its end."""
        self._rejected += rejected
        self._rows += len(rejected)
        self._flush(reader, done=True)

    def flush_if_due(self) -> None:
        """Send rows that have waited long enough; called before a read that may block."""
        self._channel.check()
        if self._reader is None or not self._rows:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
        elif time.monotonic() - self._waiting_since >= _BATCH_SECONDS:
            self._flush(self._reader, done=False)

    def _flush(self, reader: Cursor, *, done: bool) -> None:
        filtered = self._rows - len(self._contacts) - len(self._rejected)
        stream, content = None, self._content
        if content.fingerprint is not None:
            offset = min(reader.offset, reader.total)
            place = FilePlace(offset, reader.line)
            stream = place.to_stream(content.name, content.fingerprint, done=done)
        self._has_rows = self._has_rows or self._rows > 0
        empty_file = content.name if done and not self._has_rows else None
        if self._rows or stream is not None or self._irregularities or empty_file is not None:
            counts = dict(self._irregularities)
            self._irregularities.clear()
            batch = Batch(self._contacts, self._rejected, filtered, stream, counts, empty_file)
            self._channel.put(batch)
        self._start_batch(reader.offset)

    def _start_batch(self, offset: int) -> None:
        self._contacts: list[Contact] = []
        self._rejected: list[RejectedRow] = []
        self._rows = 0
        self._full_at = offset + _BATCH_BYTES
        self._waiting_since = None


def read_content(
    content: Content, start: Stream | None, rules: RowRules, layout: Layout, channel: BatchChannel
) -> None:
    """Read a content from ``start`` to its end.

    Content that is cut short or corrupt yields its rows up to there, then one rejected row,
    ``unreadable``. It counts as read to its end, so that it is not read again and again. Once
    repaired it is another file, which is read as a whole.

    Raises:
        SourceError: it cannot be read.
        UnreadableFormatError: it has a format that is not read.
        ColumnsError: its columns are not as the settings need them.
        ReaderClosedError: the channel was closed.

    """
    place = BEGINNING if start is None else FilePlace.of(start)
    begin = place if place.offset else None
    batcher = Batcher(content, channel, has_rows=begin is not None)
    builder = ContactBuilder(rules)
    cursor, rows = _open(content, begin, builder, layout, batcher.flush_if_due)
    batcher.gather(rows, cursor, builder.irregularities)
    if cursor.damage is None:
        batcher.finish(cursor)
    else:
        line = cursor.line + 1
        row = RejectedRow(content.name, line, "unreadable", cursor.damage, cursor.torn)
        batcher.finish(cursor, row)


def check_columns(content: SeekableContent, rules: RowRules, layout: Layout) -> None:
    """Check the columns of a file, without its rows.

    Raises:
        SourceError: it cannot be read.
        ColumnsError: its columns are not as the settings need them.

    """
    _open(content, None, ContactBuilder(rules), layout, lambda: None)


def _open(
    content: Content,
    start: FilePlace | None,
    builder: ContactBuilder,
    layout: Layout,
    before_read: BeforeRead,
) -> tuple[Cursor, Iterator[ParsedRow]]:
    """Open a content after ``start``; return its cursor and its rows."""
    name = content.name
    offset, line = start or BEGINNING
    table = open_table(content, builder.columns)
    if table is not None and isinstance(content, SeekableContent):
        reader = table_reader(table, content, offset, line, before_read)
        return reader, JsonRows(name, builder).rows(reader)
    id_column = builder.rules.column("conversation_id")
    shape, chunks = shape_of(content.chunks(0, before_read), name, layout, id_column)
    if shape != "csv":
        return _open_json(content, shape, chunks, (offset, line), builder, before_read)
    reader = LineReader(chunks)
    header = read_header(reader, name, layout, builder.columns)
    if start is not None:
        rest = content.chunks(offset, before_read)
        reader = LineReader(rest, terminator=reader.terminator, offset=offset, line=line)
    if header is None:
        return reader, iter(())
    return reader, CsvRows(name, header, builder, layout.max_record_lines).rows(reader)


def _open_json(
    content: Content,
    shape: Shape,
    chunks: Iterator[bytes],
    at: tuple[int, int],
    builder: ContactBuilder,
    before_read: BeforeRead,
) -> tuple[Cursor, Iterator[ParsedRow]]:
    """Check the columns of a content of objects, and open it after ``at``."""
    reader = _json_reader(shape, chunks, (0, 0), b"")
    if not isinstance(content, SeekableContent):
        rows = JsonRows(content.name, builder).rows(reader)
        return reader, hold_back(rows, content.name, builder)
    scan = ContactBuilder(builder.rules)
    check_objects(JsonRows(content.name, scan).rows(reader), content.name, scan)
    terminator = reader.terminator if isinstance(reader, LineReader) and at[0] else b""
    rest = content.chunks(at[0], before_read)  # its readers share one place in the file
    reader = _json_reader(shape, rest, at, terminator)
    return reader, JsonRows(content.name, builder).rows(reader)


def _json_reader(
    shape: Shape, chunks: Iterator[bytes], at: tuple[int, int], terminator: bytes
) -> LineReader | JsonDocument:
    offset, line = at
    if shape == "json_lines":
        return LineReader(chunks, terminator=terminator or None, offset=offset, line=line)
    return JsonDocument(chunks, is_array=shape == "json_array", offset=offset, line=line)
