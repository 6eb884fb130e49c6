"""Rows of a CSV file."""

from collections.abc import Iterator

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.sources.rows.contact_builder import ContactBuilder, InvalidRowError, decode
from dispatcher.sources.rows.csv_fields import FieldScanner, Scan
from dispatcher.sources.rows.csv_header import CsvHeader
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT, LineReader, LongLine


class CsvRows:
    """Makes contacts out of the records after the header.

    A quote that does not close rejects its own line only: reading continues at the next line.
    Blank lines are ignored.
    """

    def __init__(
        self, file: str, header: CsvHeader, builder: ContactBuilder, max_record_lines: int
    ) -> None:
        self._file = file
        self._names = header.names
        self._unnamed = "" in header.names
        self._delimiter = header.delimiter
        self._text_delimiter = header.delimiter.decode()
        self._builder = builder
        self._max_record_lines = max_record_lines

    def rows(self, reader: LineReader) -> Iterator[Contact | RejectedRow | None]:
        """Yield each row's contact, its rejection, or None if the filter excludes it."""
        build, take = self._builder.build, reader.take
        while (line := take()) is not None:
            if not line.strip(b" \r"):
                continue
            number = reader.line
            raw = line
            try:
                if b'"' in line or line.__class__ is LongLine:
                    reader.put_back(line)
                    raw, fields = self._record(reader)
                    cells = [decode(field) for field in fields]
                else:
                    cells = decode(line.removesuffix(b"\r")).split(self._text_delimiter)
                contact = build(self._row(cells))
            except InvalidRowError as error:
                yield RejectedRow(self._file, number, error.reason, error.detail, raw[:RAW_LIMIT])
            else:
                yield contact

    def _record(self, reader: LineReader) -> tuple[bytes, list[bytes]]:
        """Take a record with quotes; take only the first line of one that is not valid."""
        try:
            lines, fields = self._scan(reader)
        except InvalidRowError:
            reader.take()
            raise
        for _ in lines:
            reader.take()
        return reader.terminator.join(lines), fields

    def _scan(self, reader: LineReader) -> tuple[list[bytes], list[bytes]]:
        """Scan as many lines as the record has, without taking them."""
        scanner, lines, state = FieldScanner(self._delimiter), list[bytes](), Scan.OPEN
        bytes_left = LINE_LIMIT
        while state is Scan.OPEN:
            lines.append(self._next_line(reader, len(lines), bytes_left))
            bytes_left -= len(lines[-1])
            content = lines[-1].removesuffix(b"\r")
            state = scanner.feed(content, lines[-1][len(content) :] + reader.terminator)
            if state is Scan.OPEN and len(scanner.fields) >= len(self._names):
                self._check_width(len(scanner.fields) + 1)
        if state is Scan.BAD:
            raise InvalidRowError("bad_quote", "text follows a closing quote in the same field")
        if len(lines) > 1:
            self._check_width(len(scanner.fields))
        return lines, scanner.fields

    def _next_line(self, reader: LineReader, ahead: int, bytes_left: int) -> bytes:
        line = reader.peek(ahead)
        if isinstance(line, LongLine) and not ahead:
            raise InvalidRowError("too_long", f"a line of more than {LINE_LIMIT} bytes")
        if (
            line is None
            or isinstance(line, LongLine)
            or ahead >= self._max_record_lines
            or len(line) > bytes_left
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
