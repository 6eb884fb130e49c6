"""Reads one content in the reading thread and groups its rows into batches."""

import time
from collections import Counter
from collections.abc import Iterator

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.status import Irregularity
from dispatcher.ports import Batch, Position
from dispatcher.sources.files.byte_source import Content, FileContent
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.csv_header import read_header
from dispatcher.sources.rows.csv_rows import CsvRows
from dispatcher.sources.rows.format import is_json_lines
from dispatcher.sources.rows.jsonl_rows import JsonRows
from dispatcher.sources.rows.line_reader import LineReader
from dispatcher.sources.rows.object_columns import check_objects, hold_back
from dispatcher.sources.thread_bridge import BatchChannel

BATCH_ROWS = 256
_BATCH_BYTES = 1 << 20
_BATCH_SECONDS = 0.1
"""Rows of a slow pipe wait no longer than about twice this for a batch to fill."""

ParsedRow = Contact | RejectedRow | None


class Batcher:
    """Groups rows into batches and sends each with the position after its last row."""

    def __init__(self, content: Content, channel: BatchChannel) -> None:
        self._content = content
        self._channel = channel
        self._reader: LineReader | None = None
        self._irregularities: Counter[Irregularity] = Counter()
        self._waiting_since: float | None = None
        self._start_batch(0)

    def gather(
        self, rows: Iterator[ParsedRow], reader: LineReader, irregularities: Counter[Irregularity]
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

    def _take(self, rows: Iterator[ParsedRow], reader: LineReader) -> None:
        self._start_batch(reader.offset)
        for row in rows:
            if row.__class__ is Contact:
                self._contacts.append(row)
            elif isinstance(row, RejectedRow):
                self._rejected.append(row)
            self._rows += 1
            if self._rows >= BATCH_ROWS or reader.offset >= self._full_at:
                self._flush(reader, done=False)

    def finish(self, reader: LineReader, *rejected: RejectedRow) -> None:
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

    def _flush(self, reader: LineReader, *, done: bool) -> None:
        filtered = self._rows - len(self._contacts) - len(self._rejected)
        position, content = None, self._content
        if content.fingerprint is not None:
            offset = min(reader.offset, reader.total)
            position = Position(content.name, content.fingerprint, offset, reader.line, done=done)
        if self._rows or position is not None or self._irregularities:
            counts = dict(self._irregularities)
            self._irregularities.clear()
            self._channel.put(Batch(self._contacts, self._rejected, filtered, position, counts))
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

    Compressed content that is cut short or corrupt yields its rows up to there, then one
    rejected row, ``unreadable``. It counts as read to its end, so that it is not read again and
    again. Once repaired it is another file, which is read as a whole.

    Raises:
        SourceError: it cannot be read.
        ColumnsError: its columns are not as the settings need them.
        ReaderClosedError: the channel was closed.

    """
    batcher = Batcher(content, channel)
    reader = LineReader(content.chunks(0, batcher.flush_if_due))
    builder = ContactBuilder(rules)
    rows = _open_rows(content, reader, builder, layout)
    if start is not None and start.offset:
        reader = LineReader(
            content.chunks(start.offset, batcher.flush_if_due),
            terminator=reader.terminator,
            offset=start.offset,
            line=start.line,
        )
    elif isinstance(rows, JsonRows) and isinstance(content, FileContent):
        reader = LineReader(content.chunks(0, batcher.flush_if_due))
    if rows is not None:
        made = rows.rows(reader)
        if content.fingerprint is None and isinstance(rows, JsonRows):
            made = hold_back(made, content.name, builder)
        batcher.gather(made, reader, builder.irregularities)
    damage = reader.damage
    if damage is None:
        batcher.finish(reader)
    else:
        line = reader.line + 1
        batcher.finish(reader, RejectedRow(content.name, line, "unreadable", damage, reader.torn))


def check_columns(content: FileContent, rules: RowRules, layout: Layout) -> None:
    """Check the columns of a file, without its rows.

    Raises:
        SourceError: it cannot be read.
        ColumnsError: its columns are not as the settings need them.

    """
    reader = LineReader(content.chunks(0, lambda: None))
    _open_rows(content, reader, ContactBuilder(rules), layout)


def _open_rows(
    content: Content, reader: LineReader, builder: ContactBuilder, layout: Layout
) -> CsvRows | JsonRows | None:
    """Return the parser for the content's format, after its header; None if it has no rows.

    If it is that of objects in a file, ``reader`` cannot be used any more.
    """
    name = content.name
    if is_json_lines(name, layout, reader):
        if isinstance(content, FileContent):  # its readers share one place in the file
            reader = LineReader(content.chunks(0, lambda: None))
            scan = ContactBuilder(builder.rules)
            check_objects(JsonRows(name, scan).rows(reader), name, scan)
        return JsonRows(name, builder)
    header = read_header(reader, name, layout, builder.columns)
    if header is None:
        return None
    return CsvRows(name, header, builder, layout.max_record_lines)
