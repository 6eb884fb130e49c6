"""Reads one content in the reading thread and groups its rows into batches."""

import time
from collections.abc import Iterator
from typing import Protocol

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.ports import Batch, Position
from dispatcher.sources.files.byte_source import BeforeRead, Content, FileContent
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.csv_header import read_header
from dispatcher.sources.rows.csv_rows import CsvRows
from dispatcher.sources.rows.format import shape_of
from dispatcher.sources.rows.json_document import JsonDocument
from dispatcher.sources.rows.jsonl_rows import JsonRows
from dispatcher.sources.rows.line_reader import LineReader
from dispatcher.sources.rows.tables import open_table, table_reader
from dispatcher.sources.thread_bridge import BatchChannel

BATCH_ROWS = 256
_BATCH_BYTES = 1 << 20
_BATCH_SECONDS = 0.1
"""Rows of a slow pipe wait no longer than about twice this for a batch to fill."""

Row = Contact | RejectedRow | None


class Cursor(Protocol):
    """How far a content was read; see `LineReader` for the attributes."""

    offset: int
    total: int
    line: int
    damage: str | None
    torn: bytes


class Batcher:
    """Groups rows into batches and sends each with the position after its last row.

    ``has_rows`` says that there were rows before the place where reading begins.
    """

    def __init__(self, content: Content, channel: BatchChannel, *, has_rows: bool = False) -> None:
        self._content = content
        self._channel = channel
        self._reader: Cursor | None = None
        self._waiting_since: float | None = None
        self._has_rows = has_rows
        self._start_batch(0)

    def gather(self, rows: Iterator[Row], reader: Cursor) -> None:
        """Take all rows; send a batch whenever it is full."""
        self._reader = reader
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
        """Send the last batch, whose position says that the content was read to its end."""
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
        position, content = None, self._content
        if content.fingerprint is not None:
            offset = min(reader.offset, reader.total)
            position = Position(content.name, content.fingerprint, offset, reader.line, done=done)
        self._has_rows = self._has_rows or self._rows > 0
        empty_file = content.name if done and not self._has_rows else None
        if self._rows or position is not None or empty_file is not None:
            batch = Batch(self._contacts, self._rejected, filtered, position, empty_file)
            self._channel.put(batch)
        self._start_batch(reader.offset)

    def _start_batch(self, offset: int) -> None:
        self._contacts: list[Contact] = []
        self._rejected: list[RejectedRow] = []
        self._rows = 0
        self._full_at = offset + _BATCH_BYTES
        self._waiting_since = None


def read_content(
    content: Content, start: Position | None, rules: RowRules, layout: Layout, channel: BatchChannel
) -> None:
    """Read a content from ``start`` to its end.

    Content that is cut short or corrupt yields its rows up to there, then one rejected row,
    ``unreadable``. It counts as read to its end, so that it is not read again and again. Once
    repaired it is another file, which is read as a whole.

    Raises:
        SourceError: it cannot be read.
        UnreadableFormatError: it has a format that is not read.
        CsvHeaderError: its header lacks a column that is needed.
        ReaderClosedError: the channel was closed.

    """
    begin = start if start is not None and start.offset else None
    batcher = Batcher(content, channel, has_rows=begin is not None)
    cursor, rows = _open(content, begin, rules, layout, batcher.flush_if_due)
    batcher.gather(rows, cursor)
    if cursor.damage is None:
        batcher.finish(cursor)
    else:
        line = cursor.line + 1
        row = RejectedRow(content.name, line, "unreadable", cursor.damage, cursor.torn)
        batcher.finish(cursor, row)


def _open(
    content: Content,
    start: Position | None,
    rules: RowRules,
    layout: Layout,
    before_read: BeforeRead,
) -> tuple[Cursor, Iterator[Row]]:
    """Open a content after ``start``; return its cursor and its rows."""
    builder = ContactBuilder(rules)
    offset, line = (0, 0) if start is None else (start.offset, start.line)
    table = open_table(content, rules)
    if table is not None and isinstance(content, FileContent):
        rows_of_table = table_reader(table, content, offset, line, before_read)
        return rows_of_table, JsonRows(content.name, builder).rows(rows_of_table)
    id_column = rules.column("conversation_id")
    shape, chunks = shape_of(content.chunks(0, before_read), content.name, layout, id_column)
    rest = chunks if start is None else content.chunks(start.offset, before_read)
    if shape in ("json_array", "json_objects"):
        is_array = shape == "json_array"
        document = JsonDocument(rest, is_array=is_array, offset=offset, line=line)
        return document, JsonRows(content.name, builder).rows(document)
    reader = LineReader(chunks)
    rows: CsvRows | JsonRows | None = JsonRows(content.name, builder)
    if shape == "csv":
        header = read_header(reader, content.name, layout, rules)
        lines = layout.max_record_lines
        rows = None if header is None else CsvRows(content.name, header, builder, lines)
    if start is not None:
        reader = LineReader(rest, terminator=reader.terminator, offset=offset, line=line)
    return reader, iter(()) if rows is None else rows.rows(reader)
