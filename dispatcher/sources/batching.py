"""From one content to batches: what the reading thread does with each file."""

import time
from collections.abc import Iterator
from pathlib import PurePath

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.ports import Batch, Position
from dispatcher.sources.files.byte_source import Content
from dispatcher.sources.options import Format, Layout, RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.csv_header import read_header
from dispatcher.sources.rows.csv_rows import CsvRows
from dispatcher.sources.rows.jsonl_rows import JsonRows
from dispatcher.sources.rows.line_reader import LineReader
from dispatcher.sources.thread_bridge import BatchChannel

BATCH_ROWS = 256
_BATCH_BYTES = 1 << 20
_BATCH_SECONDS = 0.1
"""Rows of a slow pipe wait no longer than about twice this for a batch to fill."""

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}

Row = Contact | RejectedRow | None


class Batcher:
    """Gathers rows and puts them out as batches with the position behind them."""

    def __init__(self, content: Content, outlet: BatchChannel) -> None:
        self._content = content
        self._outlet = outlet
        self._reader: LineReader | None = None
        self._since: float | None = None
        self._clear(0)

    def gather(self, rows: Iterator[Row], reader: LineReader) -> None:
        """Take all rows; a batch leaves whenever it is full."""
        self._reader = reader
        self._clear(reader.offset)
        for row in rows:
            if row.__class__ is Contact:
                self._contacts.append(row)
            elif isinstance(row, RejectedRow):
                self._rejected.append(row)
            self._rows += 1
            if self._rows >= BATCH_ROWS or reader.offset >= self._full_at:
                self._flush(reader, done=False)

    def finish(self, reader: LineReader, *rejected: RejectedRow) -> None:
        """Put the last batch out, which says that the content was read to its end."""
        self._rejected += rejected
        self._rows += len(rejected)
        self._flush(reader, done=True)

    def pause(self) -> None:
        """Before a read that may block: rows that have waited long enough go out."""
        self._outlet.check()
        if self._reader is None or not self._rows:
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since >= _BATCH_SECONDS:
            self._flush(self._reader, done=False)

    def _flush(self, reader: LineReader, *, done: bool) -> None:
        filtered = self._rows - len(self._contacts) - len(self._rejected)
        position = self._position(reader, done=done)
        if self._rows or position is not None:
            self._outlet.put(Batch(self._contacts, self._rejected, filtered, position))
        self._clear(reader.offset)

    def _clear(self, offset: int) -> None:
        self._contacts: list[Contact] = []
        self._rejected: list[RejectedRow] = []
        self._rows = 0
        self._full_at = offset + _BATCH_BYTES
        self._since = None

    def _position(self, reader: LineReader, *, done: bool) -> Position | None:
        if self._content.fingerprint is None:
            return None
        return Position(
            file=self._content.name,
            fingerprint=self._content.fingerprint,
            offset=min(reader.offset, reader.total),
            line=reader.line,
            done=done,
        )


def read_content(
    content: Content, start: Position | None, rules: RowRules, layout: Layout, outlet: BatchChannel
) -> None:
    """Read a content from ``start`` to its end.

    Compressed content that is cut short or corrupt yields its rows up to there, then one
    rejected row, ``unreadable``; it counts as read to its end, so that it is not tried over
    and over. Once mended it is another file, and is read as a whole.

    Raises:
        SourceError: it cannot be read.
        HeaderError: its header lacks a column that is needed.
        StoppedError: the outlet was closed.

    """
    batcher = Batcher(content, outlet)
    reader = LineReader(content.chunks(0, batcher.pause))
    rows = _rows(content, reader, rules, layout)
    if start is not None and start.offset:
        reader = LineReader(
            content.chunks(start.offset, batcher.pause),
            terminator=reader.terminator,
            offset=start.offset,
            line=start.line,
        )
    if rows is not None:
        batcher.gather(rows.rows(reader), reader)
    batcher.finish(reader, *_damage(content, reader))


def put_header_row(content: Content, row: RejectedRow, outlet: BatchChannel) -> None:
    """Put out the one rejected row that stands for a file without a usable header."""
    position = None
    if content.fingerprint is not None:
        position = Position(content.name, content.fingerprint, 0, row.line, done=True)
    outlet.put(Batch((), (row,), 0, position))


def _rows(
    content: Content, reader: LineReader, rules: RowRules, layout: Layout
) -> CsvRows | JsonRows | None:
    """Choose by the format, and read the header off; None where there are no rows."""
    judge = ContactBuilder(rules)
    suffix = _suffix(content.name)
    if is_json_lines(content.name, layout, reader):
        return JsonRows(content.name, judge)
    delimiter = "\t" if layout.delimiter == "auto" and suffix == ".tsv" else layout.delimiter
    given = None if delimiter == "auto" else delimiter.encode()
    header = read_header(reader, content.name, given, rules)
    if header is None:
        return None
    return CsvRows(content.name, header, judge, layout.max_record_lines)


def is_json_lines(name: str, layout: Layout, reader: LineReader) -> bool:
    """Tell whether a content is JSON Lines, and not CSV; nothing is taken from the reader."""
    return _format(_suffix(name), layout, reader) == "jsonl"


def _suffix(name: str) -> str:
    """Return a name's extension, the one before .gz or .zst where it has such."""
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix in {".gz", ".zst"} else path.suffix


def _format(suffix: str, layout: Layout, reader: LineReader) -> Format:
    if layout.format != "auto":
        return layout.format
    first = reader.peek(0) or b""
    return _FORMATS.get(suffix, "jsonl" if first.lstrip().startswith(b"{") else "csv")


def _damage(content: Content, reader: LineReader) -> Iterator[RejectedRow]:
    if reader.damage is not None:
        yield RejectedRow(content.name, reader.line + 1, "unreadable", reader.damage, reader.torn)
