"""Reads the file of a suppression list: its separator, its columns and its values."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dispatcher.sources.suppression.damaged_numbers import (
    DamagedNumbers,
    has_lost_digits,
    is_phone_name,
)
from dispatcher.sources.suppression.list_names import GENERAL_NAMES, LIST_NAMES
from dispatcher.sources.suppression.list_text import ListContentError, decode_list
from dispatcher.sources.suppression.listed_values import ListedValues
from dispatcher.sources.suppression.phone_numbers import parse_phone_number
from dispatcher.sources.suppression.shapes import is_date

_SEPARATORS = ",;\t|"
_SAMPLE_LINES = 1000
_SEPARATOR_LINE = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)
_LEFT_INSIDE = re.compile(r'[,;\t|"{}<>\[\]\r\n]')
_MAIL = "mailto:"
_IN_BRACES = re.compile(r"\{[0-9a-fA-F-]{32,36}\}")
_FORMULA = re.compile(r'="?([^"]*)"?')
_NULLS = frozenset({"", "\\n", "null", "none", "nan", "n/a", "#n/a", "<na>", "nil", "-"})
_RARE = re.compile(r"[^\w.@+-]+")
"""Signs that few ids have: they may separate an id from the rest, such as ``:`` or a control
character. The parts count as values, too, since a value too many does no harm."""
_DAMAGED = (
    "line {}: a phone number has other text beside it, or decimals, so it would match nobody; "
    "export it as text, one number a cell and nothing else"
)


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list as it was read; ``about`` says how, for people."""

    values: ListedValues
    about: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the lines are split, and which columns count: by index; an empty tuple for all.

    ``width`` is the number of columns of the header, ``first_line`` the index of the first line
    after it. ``is_certain`` is false if the names of all these columns have several meanings.
    """

    separator: str
    columns: tuple[int, ...]
    names: tuple[str, ...]
    width: int
    first_line: int
    is_certain: bool = True


def parse_list(content: bytes, known: Collection[str], chosen: Collection[str] = ()) -> ListFile:
    """Return the values of a list.

    ``known`` are the names of the source's columns that have ids and addresses, ``chosen`` those
    of the list that the settings name; names are compared without regard to case, blanks,
    underscores and hyphens.

    Raises:
        ListContentError: it is empty or not text, or a line cannot be understood.

    """
    text = decode_list(content)
    lines = text.splitlines()
    is_commented = any(map(_is_comment, lines))
    lines = ["" if _is_comment(line) else line for line in lines]
    layout = _layout(lines, frozenset(map(plain_name, known)), frozenset(map(plain_name, chosen)))
    entries = _Entries(layout)
    try:
        for number, cells in _records(lines, layout):
            entries.add(cells, number)
    except ListContentError as error:
        entries.note(error)
    listed = entries.listed(ends_complete=text.endswith(("\n", "\r")))
    if (problem := entries.problem()) is not None:
        raise ListContentError(problem, listed)
    if not (listed.shapes or is_commented):
        raise ListContentError(
            "is empty, or its columns of ids and addresses are; if nobody is on the list, write a "
            "line that begins with #"
        )
    return ListFile(listed, _about(layout))


class _Entries:
    """Collects the values of records, and the first problem; later records are read as well."""

    def __init__(self, layout: _Layout) -> None:
        self._layout = layout
        self._values, self._others, self._entries = set[str](), set[str](), 0
        self._problem: str | None = None
        names = zip(layout.columns, layout.names, strict=True)
        phones = [index for index, name in names if is_phone_name(plain_name(name))]
        self._numbers = DamagedNumbers(phones)

    def note(self, error: ListContentError) -> None:
        self._problem = self._problem or str(error)

    def problem(self) -> str | None:
        if self._problem is None and (line := self._numbers.line()) is not None:
            return _DAMAGED.format(line)
        return self._problem

    def listed(self, *, ends_complete: bool) -> ListedValues:
        return ListedValues(
            self._values, self._others, entries=self._entries, ends_complete=ends_complete
        )

    def add(self, cells: Sequence[str], number: int) -> None:
        layout = self._layout
        try:
            by_column = (
                _values_of_columns(cells, number, layout) if layout.columns else _all(cells, number)
            )
            _check_numbers(by_column, number, self._numbers)
        except ListContentError as error:
            self.note(error)
            # Another id of the same person may be fine.
            self._values.update(filter(None, (_value(cells, i) for i in layout.columns)))
            return
        self._values.update(by_column.values())
        self._entries += bool(by_column)
        for value in by_column.values():
            if _RARE.search(value) and parse_phone_number(value) is None:
                self._others.update(filter(None, _RARE.split(value)))
        if not layout.is_certain:
            self._others.update(filter(None, (_value(cells, i) for i in range(len(cells)))))
        if layout.separator and not layout.columns:
            self._others.add(layout.separator.join(cells).strip())


def _layout(lines: Sequence[str], known: frozenset[str], chosen: frozenset[str]) -> _Layout:
    """Return the layout, from the header if there is one, else from the first lines."""
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    separator = ""
    if lines[first:] and (found := _SEPARATOR_LINE.fullmatch(lines[first].strip())):
        separator, first = found[1], first + 1
    sample = [line for line in lines[first : first + _SAMPLE_LINES] if line.strip()]
    header = sample[0] if sample else ""
    names = chosen or known.union(map(plain_name, LIST_NAMES))
    for candidate in separator or _SEPARATORS:
        cells = _split(header, candidate)
        columns = tuple(i for i, cell in enumerate(cells) if plain_name(cell) in names)
        if columns:
            shown = tuple(_clean(cells[i]) for i in columns)
            first = lines.index(header, first)
            is_certain = bool(chosen) or not _GENERAL.issuperset(map(plain_name, shown))
            return _Layout(candidate, columns, shown, len(cells), first + 1, is_certain)
    if chosen:
        raise ListContentError("has no column that rules.suppression_columns names")
    return _Layout(separator or _guess_separator(sample), (), (), 0, first)


def _guess_separator(lines: Sequence[str]) -> str:
    """Return the separator that occurs equally often in most lines; empty if there is none."""

    def regular_lines(separator: str) -> int:
        counts = Counter(len(_split(line, separator)) for line in lines)
        return max((n for width, n in counts.items() if width > 1), default=0)

    best = max(_SEPARATORS, key=regular_lines)
    return best if regular_lines(best) else ""


def _records(lines: Sequence[str], layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line and the cells of every record that is not blank."""
    rest, number = lines[layout.first_line :], layout.first_line
    if not layout.separator:
        yield from ((n, [line]) for n, line in enumerate(rest, number + 1) if line.strip())
        return
    reader = csv.reader((f"{line}\n" for line in rest), delimiter=layout.separator, strict=True)
    start = 0
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield number + start + 1, cells
            # A quote that was never closed may have taken other entries into its cell.
            for index in range(start + 1, reader.line_num):
                inner = _split(rest[index], layout.separator)
                if len(inner) == layout.width and any(_value(inner, i) for i in layout.columns):
                    yield number + index + 1, inner
            start = reader.line_num
    except csv.Error:
        raise ListContentError(
            f"line {number + max(1, reader.line_num)}: a quote is not closed, or text follows it"
        ) from None


def _values_of_columns(cells: Sequence[str], number: int, layout: _Layout) -> dict[int, str]:
    """Return the values of one record by the columns that the header names.

    A record with something else alone is about a person who cannot be recognised.
    """
    if len(cells) <= layout.columns[0]:
        raise ListContentError(f"line {number}: has fewer columns than the header")
    if any(map(str.strip, cells[layout.width :])):
        raise ListContentError(f"line {number}: has more columns than the header")
    found = dict[int, str]()
    for index in layout.columns:
        if value := _value(cells, index):
            _check(value, number, layout.separator if len(cells) > 1 else "")
            found[index] = value
    if not found and any(_value(cells, index) for index in range(len(cells))):
        raise ListContentError(
            f"line {number}: has no value in the columns of ids and addresses "
            f"({', '.join(layout.names)}); name others by rules.suppression_columns, or remove "
            "the line"
        )
    return found


def _value(cells: Sequence[str], index: int) -> str:
    """Return the value of a cell; empty if it is not there, or says that it has none."""
    value = _clean(cells[index]) if index < len(cells) else ""
    return "" if value.casefold() in _NULLS else value


def _all(cells: Sequence[str], number: int) -> dict[int, str]:
    """Return the cells of one record but dates: without a header any of them may be the id."""
    found = dict[int, str]()
    for index in range(len(cells)):
        value = _value(cells, index)
        if not value or (len(cells) > 1 and is_date(value)):
            continue
        if len(cells) == 1 or " " not in value:
            _check(value, number)
        found[index] = value
    return found


def _check_numbers(found: Mapping[int, str], number: int, numbers: DamagedNumbers) -> None:
    """Refuse a phone number that would match nobody."""
    for column, value in found.items():
        if numbers.is_damaged(value, number, column):
            raise ListContentError(_DAMAGED.format(number))


def _check(value: str, number: int, quoted_separator: str = "") -> None:
    """Refuse a value that was not split as it should have been, or has lost digits.

    ``quoted_separator`` may be inside, because quotes were around it.
    """
    if has_lost_digits(value):
        raise ListContentError(
            f"line {number}: a number in scientific notation has lost digits; export it as text"
        )
    rest = value.replace(quoted_separator, "") if quoted_separator else value
    if _LEFT_INSIDE.search(rest):
        raise ListContentError(
            f"line {number}: a value has separators, quotes or brackets inside; write one value "
            "per line, or CSV with one separator"
        )


def _split(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [""])
    except csv.Error:
        return line.split(separator)


def _clean(cell: str) -> str:
    value = cell.strip()
    if value[:1] in {'"', "'", "="}:
        if value[0] == "=" and (found := _FORMULA.fullmatch(value)):
            value = found[1]
        value = value.strip("\"' \t")
    if _IN_BRACES.fullmatch(value):
        return value[1:-1]
    return value[len(_MAIL) :] if value[: len(_MAIL)].lower() == _MAIL else value


def plain_name(name: str) -> str:
    """Return the name of a column without regard to case, blanks, underscores and hyphens."""
    return re.sub(r"[\s_-]", "", _clean(name)).casefold()


_GENERAL = frozenset(map(plain_name, GENERAL_NAMES))


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _about(layout: _Layout) -> str:
    """Return which columns were taken, for people."""
    if layout.columns:
        return f"column {', '.join(layout.names)}"
    if layout.separator:
        return "every column, because it has no known header"
    return "one value per line"
