"""Rows of a CSV file."""

from collections.abc import Iterator

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.sources.rows.contact_builder import ContactBuilder, InvalidRowError
from dispatcher.sources.rows.csv_fields import FieldScanner, Scan
from dispatcher.sources.rows.csv_header import CsvHeader
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT, LineReader, LongLine


class CsvRows:
    """Makes contacts out of the records behind the header.

    A quote that does not close costs its own line only: reading goes on at the next. Blank
    lines are no rows.
    """

    def __init__(
        self, file: str, header: CsvHeader, judge: ContactBuilder, max_record_lines: int
    ) -> None:
        self._file = file
        self._names = header.names
        self._unnamed = "" in header.names
        self._delimiter = header.delimiter
        self._text_delimiter = header.delimiter.decode()
        self._judge = judge
        self._max_record_lines = max_record_lines

    def rows(self, reader: LineReader) -> Iterator[Contact | RejectedRow | None]:
        """Yield each row's contact, its rejection, or None where it is filtered."""
        contact, take = self._judge.contact, reader.take
        while (line := take()) is not None:
            if not line.strip(b" \r"):
                continue
            number = reader.line
            raw = line
            try:
                if b'"' in line or line.__class__ is LongLine:
                    reader.put_back(line)
                    raw, fields = self._record(reader)
                    cells = [_decoded(field) for field in fields]
                else:
                    cells = _decoded(line.removesuffix(b"\r")).split(self._text_delimiter)
                made = contact(self._row(cells))
            except InvalidRowError as bad:
                yield RejectedRow(self._file, number, bad.reason, bad.detail, raw[:RAW_LIMIT])
            else:
                yield made

    def _record(self, reader: LineReader) -> tuple[bytes, list[bytes]]:
        """Take a record that holds quotes; where it is none, only its first line is taken."""
        try:
            lines, fields = self._scanned(reader)
        except InvalidRowError:
            reader.take()
            raise
        for _ in lines:
            reader.take()
        return reader.terminator.join(lines), fields

    def _scanned(self, reader: LineReader) -> tuple[list[bytes], list[bytes]]:
        """Look ahead over as many lines as the record has."""
        scanner, lines, state = FieldScanner(self._delimiter), list[bytes](), Scan.OPEN
        room = LINE_LIMIT
        while state is Scan.OPEN:
            lines.append(self._next_line(reader, len(lines), room))
            room -= len(lines[-1])
            bare = lines[-1].removesuffix(b"\r")
            state = scanner.feed(bare, lines[-1][len(bare) :] + reader.terminator)
            if state is Scan.OPEN and len(scanner.fields) >= len(self._names):
                self._check_width(len(scanner.fields) + 1)
        if state is Scan.BAD:
            raise InvalidRowError(
                "bad_quote", "something follows a closing quote in the same field"
            )
        if len(lines) > 1:
            self._check_width(len(scanner.fields))
        return lines, scanner.fields

    def _next_line(self, reader: LineReader, ahead: int, room: int) -> bytes:
        line = reader.peek(ahead)
        if isinstance(line, LongLine) and not ahead:
            raise InvalidRowError("too_long", f"a line of more than {LINE_LIMIT} bytes")
        if (
            line is None
            or isinstance(line, LongLine)
            or ahead >= self._max_record_lines
            or len(line) > room
        ):
            raise InvalidRowError("open_quote", "a quote opens here and does not close")
        return line

    def _row(self, cells: list[str]) -> dict[str, str]:
        self._check_width(len(cells))
        row = {
            name: cell
            for name, cell in zip(self._names, cells, strict=True)
            if cell and not cell.isspace()
        }
        if self._unnamed:
            row.pop("", None)
        return row

    def _check_width(self, width: int) -> None:
        if width != len(self._names):
            raise InvalidRowError("columns", f"{width} columns, the header has {len(self._names)}")


def _decoded(cells: bytes) -> str:
    if b"\0" in cells:
        raise InvalidRowError("encoding", "a NUL byte")
    try:
        return cells.decode()
    except UnicodeDecodeError:
        raise InvalidRowError("encoding", "not UTF-8") from None
