"""Rows of a CSV file."""

from collections.abc import Iterator

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.status import Irregularity
from dispatcher.sources.options import normal_name
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.csv_fields import FieldScanner, Scan
from dispatcher.sources.rows.csv_header import CsvHeader, same_names
from dispatcher.sources.rows.line_reader import BOM, LINE_LIMIT, RAW_LIMIT, LineReader, LongLine
from dispatcher.sources.rows.row_errors import HeaderRowError, InvalidRowError, decode

_BOM_START = BOM[0]
_CUT = "a line break in a cell without quotes may have cut the row"


class CsvRows:
    """Makes contacts out of the records after the header.

    A quote that does not close rejects its own line only: reading continues at the next line.
    Blank lines are ignored, and so are lines with the header's names and byte order marks: files
    that were joined have them. Cells that are missing at the end of a line are empty, and empty
    cells beyond the header are nothing.

    Raises:
        ColumnsError: there is another header, so that the columns after it are not known.

    """

    def __init__(
        self, file: str, header: CsvHeader, builder: ContactBuilder, max_record_lines: int
    ) -> None:
        self._file = file
        self._names = header.names
        self._own_names = header.own_names
        self._width = len(header.names)
        self._id_index = header.names.index(builder.columns.columns["conversation_id"])
        self._id_name = normal_name(header.own_names[self._id_index])
        self._known_names = builder.columns.normal_names | frozenset(
            normal_name(name) for name in header.own_names if name
        )
        self._necessary = builder.columns.necessary()
        meanings = builder.columns.columns
        self._texts = frozenset(meanings[m] for m in ("text", "subject") if m in meanings)
        self._unnamed = "" in header.names
        self._delimiter = header.delimiter
        self._text_delimiter = header.delimiter.decode()
        self._builder = builder
        builder.expect_header(header.own_names)
        self._irregularities = builder.irregularities
        self._max_record_lines = max_record_lines

    def rows(self, reader: LineReader) -> Iterator[Contact | RejectedRow | None]:
        """Yield each row's contact, its rejection, or None if the filter excludes it."""
        build, take = self._builder.build, reader.take
        while (line := take()) is not None:
            if not line.strip(b" \r"):
                continue
            number = reader.line
            raw = line
            if line[0] == _BOM_START and line.startswith(BOM):
                self._irregularities[Irregularity.BYTE_ORDER_MARK] += 1
                line = line[len(BOM) :]
                if not line.strip(b" \r"):
                    continue
            try:
                if b'"' in line or line.__class__ is LongLine:
                    reader.put_back(raw)
                    raw, fields = self._record(reader)
                    cells = [decode(field) for field in fields]
                else:
                    cells = decode(line.removesuffix(b"\r")).split(self._text_delimiter)
                if len(cells) != self._width:
                    cells = self._fitted(cells, reader)
                contact = build(self._row(cells))
            except HeaderRowError as error:
                yield from self._pass_over(cells, number, raw, reader, error)
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
            end = lines[-1][len(content) :] + reader.terminator
            state = scanner.feed(content.removeprefix(BOM) if len(lines) == 1 else content, end)
            if state is Scan.OPEN and len(scanner.fields) >= len(self._names):
                raise self._wrong_width(len(scanner.fields) + 1)
        if state is Scan.BAD:
            raise InvalidRowError("bad_quote", "text follows a closing quote in the same field")
        if len(lines) > 1:
            self._check_width(scanner.fields)
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
        row = {
            name: cell
            for name, cell in zip(self._names, cells, strict=True)
            if cell and not cell.isspace()
        }
        if self._unnamed:
            row.pop("", None)
        return row

    def _check_width(self, fields: list[bytes]) -> None:
        """Check a record of several lines: with another width it may be several rows."""
        if len(fields) < self._width or any(field.strip() for field in fields[self._width :]):
            raise self._wrong_width(len(fields))

    def _fitted(self, cells: list[str], reader: LineReader) -> list[str]:
        """Return as many cells as the header has columns.

        A line without any delimiter is not a row with cells missing: it is part of a text, or
        the last line of a report. The last line without a line end may be half a row.

        Raises:
            HeaderRowError: the row is a header.
            InvalidRowError: the row has cells that do not fit.

        """
        if self._is_header(cells):
            raise HeaderRowError
        extra = cells[self._width :]
        if any(cell and not cell.isspace() for cell in extra):
            raise self._wrong_width(len(cells))
        if extra:
            self._irregularities[Irregularity.EXTRA_CELLS] += 1
            return cells[: self._width]
        if len(cells) == 1 or reader.offset > reader.total or reader.damage is not None:
            raise self._wrong_width(len(cells))
        self._check_missing(len(cells))
        self._irregularities[Irregularity.MISSING_CELLS] += 1
        return cells + [""] * (self._width - len(cells))

    def _check_missing(self, width: int) -> None:
        """Check that a row without its last cells is whole in what matters.

        A line break without quotes cuts a row: its message may be half of it, and its expiry is
        in the next line.
        """
        for name in self._names[width:]:
            if name in self._necessary:
                raise InvalidRowError(
                    "columns", f"{width} columns, without column {name!r}; {_CUT}"
                )
        if (last := self._names[width - 1]) in self._texts:
            raise InvalidRowError("columns", f"it ends within column {last!r}; {_CUT}")

    def _is_header(self, cells: list[str]) -> bool:
        """Return True if the conversation id's column is named, and another one that matters.

        It matters if the first header or the settings have it, or if it looks like a meaning's.
        A header of other columns may have another name in the place of that id.
        """
        names = {normal_name(cell.strip()) for cell in cells}
        in_place = normal_name(cells[self._id_index].strip()) if len(cells) > self._id_index else ""
        if self._id_name not in names and in_place not in self._known_names:
            return False
        is_known = len(names & self._known_names) > 1 or same_names(cells, self._own_names)
        return is_known or self._builder.columns.has_look_alike(cell.strip() for cell in cells)

    def _pass_over(
        self, cells: list[str], number: int, raw: bytes, reader: LineReader, error: HeaderRowError
    ) -> Iterator[RejectedRow]:
        """Count a header within the rows, or reject a row that merely begins like one.

        Raises:
            ColumnsError: it is a header with other columns than the first.

        """
        if same_names([cell.strip() for cell in cells], self._own_names):
            self._irregularities[Irregularity.REPEATED_HEADER] += 1
            return
        if not self._is_header(cells):
            yield RejectedRow(self._file, number, error.reason, error.detail, raw[:RAW_LIMIT])
            return
        reader.put_back(raw)
        problem = (
            f"line {number} has names of columns in other places than the header: the columns of "
            "the rows after it are not known. If it is a header, make a file of it and the rows "
            "after it; if it is a row, correct that line"
        )
        raise ColumnsError(self._file, [problem], number, raw, of_first_line=False)

    def _wrong_width(self, width: int) -> InvalidRowError:
        return InvalidRowError("columns", f"{width} columns, the header has {self._width}")
