"""Builds a contact from the columns of a row, or rejects the row with a reason."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from dispatcher.domain.contact import Contact
from dispatcher.domain.ids import ID_LIMIT, canonical_id
from dispatcher.domain.opt_out import OptOutColumns
from dispatcher.domain.status import Irregularity
from dispatcher.sources.options import MEANINGS, RowRules
from dispatcher.sources.rows.column_names import ColumnNames, ResolvedColumns, spellings
from dispatcher.sources.rows.dates import DateParser
from dispatcher.sources.rows.mangled_numbers import NUMERIC, MangledNumbers
from dispatcher.sources.rows.ordinary_ids import (
    is_safe_id,
    ordinary_id,
    ordinary_number,
    starts_of,
)
from dispatcher.sources.rows.rendering import rendered
from dispatcher.sources.rows.row_errors import HeaderRowError, InvalidRowError

_PLACEHOLDER = re.compile(r"\{([^{}|]+)(?:\|[^{}]*)?\}")
_MOST_RESOLVED = 1000
"""Sets of names of which the resolved ones are kept: objects may have any names."""


class ContactBuilder:
    """Makes contacts out of the rows of one file.

    A row maps column names, as `ColumnNames` resolves them, to cells that are not blank.
    ``irregularities`` counts what was read as empty, until a reader takes the counts.
    ``column_problems`` are those of the names of the objects that were built.
    """

    def __init__(self, rules: RowRules) -> None:
        self.rules = rules
        self.columns = ColumnNames(rules)
        self.irregularities: Counter[Irregularity] = Counter()
        self.column_problems: dict[str, None] = {}
        self._resolved: dict[tuple[str, ...], ResolvedColumns] = {}
        self._found: frozenset[str] = frozenset()
        self._meanings = {m: self.columns.columns.get(m, "") for m in MEANINGS}
        self._known_columns = tuple(dict.fromkeys(filter(None, self._meanings.values())))
        self._filter = [(self.columns.spelled(n), frozenset(v)) for n, v in rules.filter.items()]
        self._text = self.columns.template(rules.text)
        self._subject = self.columns.template(rules.subject)
        self._emptied = tuple(self.columns.emptied())
        self._dates = DateParser(rules.zone, rules.date_format)
        self._limit = rules.text_limit
        self._text_problem = rules.text_problem
        self._nulls = frozenset(value.strip().lower() for value in rules.null_values)
        self._null_starts = starts_of(self._nulls)
        self._header = spellings(self._meanings["conversation_id"])
        self._is_ordinary = self._ordinary()
        self._is_ordinary_number = ordinary_number(self._null_starts)
        self._opt_out = OptOutColumns(
            tuple(map(self.columns.spelled, rules.opt_out.opt_out)),
            tuple(map(self.columns.spelled, rules.opt_out.consent)),
        )
        self._has_opt_out = bool(self._opt_out)
        self._mangled = MangledNumbers() if rules.mangled_numbers == "reject" else None

    def _ordinary(self) -> Callable[[str], re.Match[str] | None]:
        return ordinary_id(self._nulls, self._header)

    @property
    def missing_columns(self) -> tuple[str, ...]:
        """The columns that every file must have, and that no object had until now."""
        wanted = dict.fromkeys((self._meanings["conversation_id"], *self.columns.needed))
        return tuple(name for name in wanted if name not in self._found)

    @property
    def has_objects(self) -> bool:
        """Whether an object was built or rejected by its values."""
        return bool(self._resolved)

    def build_object(self, row: Mapping[str, str]) -> Contact | None:
        """Return the contact of a row with names as in the file; blank cells are missing ones.

        Raises:
            InvalidRowError: the row cannot become a contact.

        """
        names = tuple(row)
        resolved = self._resolved.get(names)
        if resolved is None:
            resolved = self._resolve(names)
        if resolved.problems:
            raise InvalidRowError("columns", "; ".join(resolved.problems))
        if resolved.as_in_file:
            return self.build({n: cell for n, cell in row.items() if cell and not cell.isspace()})
        return self.build(
            {
                name: cell
                for name, cell in zip(resolved.names, row.values(), strict=True)
                if cell and name and not cell.isspace()
            }
        )

    def resolved(self, names: tuple[str, ...]) -> ResolvedColumns:
        """Return the columns of objects that have these names, as in the file."""
        return self._resolved.get(names) or self._resolve(names)

    def _resolve(self, names: tuple[str, ...]) -> ResolvedColumns:
        resolved = self.columns.resolve(names)
        if len(self._resolved) >= _MOST_RESOLVED:
            self._resolved.clear()
        self._resolved[names] = resolved
        self._found |= resolved.taken
        self.column_problems |= dict.fromkeys(resolved.problems)
        return resolved

    def expect_header(self, names: Iterable[str]) -> None:
        """Recognise a row that has these names, in any order, as a header."""
        self._header |= {name.lower() for name in names}
        self._is_ordinary = self._ordinary()

    def build(self, row: dict[str, str]) -> Contact | None:
        """Return the row's contact, or None if the filter excludes it. Changes ``row``.

        Raises:
            InvalidRowError: the row cannot become a contact.
            HeaderRowError: the row is a header.

        """
        for name, values in self._filter:
            value = row.get(name, "").strip()
            if value not in values:
                self._check_no_header(value, row)
                return None
        columns, get = self._meanings, row.get
        conversation_id = self._conversation_id(get(columns["conversation_id"]), row)
        nulls: Collection[str] = ()
        for name in self._emptied:
            cell = get(name)
            if cell is not None and cell[0] in self._null_starts and self._is_null(cell):
                del row[name]
                nulls = {*nulls, name}
        if self._has_opt_out:
            self._check_opt_out(row)
        key = get(columns["contact_key"])
        external = get(columns["external_contact_id"])
        address = get(columns["address"])
        not_before = get(columns["not_before"])
        expires_at = get(columns["expires_at"])
        subject = get(columns["subject"])
        if subject is not None:
            subject = self._own(subject)
        return Contact(  # by position, since names cost 4% of the CPU time per row
            conversation_id
            if key is None
            else (key if self._is_ordinary(key) else self._key(key)) or conversation_id,
            conversation_id,
            self._message(row, nulls),
            external
            if external is None or self._is_ordinary(external)
            else self._id(external, columns["external_contact_id"]),
            address
            if address is None or self._is_ordinary_number(address)
            else self._address(address),
            subject or rendered(self._subject, row, nulls),
            None if not_before is None else self._date(not_before, columns["not_before"]),
            None if expires_at is None else self._date(expires_at, columns["expires_at"]),
            self._attributes(row),
        )

    def _conversation_id(self, value: str | None, row: Mapping[str, str]) -> str:
        if value is not None and self._is_ordinary(value):
            return value
        column = self._meanings["conversation_id"]
        if value is None:
            raise InvalidRowError("no_id", f"column {column!r} is empty")
        self._check_no_header(value, row)
        found = self._id(value, column)
        if found is None:
            raise InvalidRowError("no_id", f"column {column!r} has a null marker")
        return found

    def _check_no_header(self, value: str, row: Mapping[str, str]) -> None:
        """Raise `HeaderRowError` if a value is a column's name, and the row is a header."""
        is_name = self.columns.is_conversation_id
        if is_name(value):
            raise HeaderRowError
        if value.strip().lower() not in self._header:
            return
        is_used = self.columns.is_used
        cells = [cell.strip() for cell in row.values()]
        if sum(cell.lower() in self._header or is_used(cell) for cell in cells) > 1:
            raise HeaderRowError

    def _id(self, value: str, column: str) -> str | None:
        """Check an id: it becomes part of a URL's path, and must not change that path."""
        value = value.strip()
        if value[0] in self._null_starts and self._is_null(value):
            return None
        self._check_number(value, column)
        if not is_safe_id(value):
            raise InvalidRowError(
                "bad_id",
                f"column {column!r}: letters, digits and ._~:@=+- only, at most {ID_LIMIT} "
                "characters",
            )
        _check_signs(value, column)
        return canonical_id(value)

    def _check_opt_out(self, row: Mapping[str, str]) -> None:
        """Reject a row that says neither yes nor no where the person says it."""
        column = self._opt_out.unclear(row)
        if column is not None:
            raise InvalidRowError(
                "unclear_opt_out",
                f"column {column!r} says neither yes nor no; write one of them, or leave it empty",
            )

    def _key(self, value: str) -> str | None:
        value, column = value.strip(), self._meanings["contact_key"]
        if value[0] in self._null_starts and self._is_null(value):
            return None
        if len(value) > ID_LIMIT or not value.isprintable() or " " in value:
            raise InvalidRowError(
                "bad_id",
                f"column {column!r}: no whitespace, no control characters, at most {ID_LIMIT} of "
                "any",
            )
        _check_signs(value, column)
        self._check_number(value, column)
        return canonical_id(value)

    def _address(self, value: str) -> str | None:
        value = value.strip()
        if value[0] in self._null_starts and self._is_null(value):
            return None
        self._check_number(value, self._meanings["address"])
        return value

    def _check_number(self, value: str, column: str) -> None:
        """Reject a number that is not the one it was: it may be another person's."""
        if self._mangled is None or value[0] not in NUMERIC:
            return
        if problem := self._mangled.problem(value, column):
            raise InvalidRowError(
                "mangled_number", f"column {column!r} has {problem}; export it as text"
            )

    def _date(self, value: str, column: str) -> float | None:
        value = value.strip()
        if value[0] in self._null_starts and self._is_null(value):
            return None
        try:
            return self._dates.seconds(value)
        except ValueError as error:
            raise InvalidRowError("bad_date", f"column {column!r} {error}") from None

    def _message(self, row: Mapping[str, str], nulls: Collection[str]) -> str:
        text = row.get(self._meanings["text"])
        if text is not None:
            text = self._own(text)
            if text is not None and "{" in text:
                self._check_not_template(text, row)
        text = text or rendered(self._text, row, nulls)
        if text is None or not text or text.isspace():
            raise InvalidRowError("no_text", "neither the row nor the template has a text")
        if len(text) > self._limit:
            raise InvalidRowError(
                "text_too_long", f"{len(text)} characters, at most {self._limit} can be sent"
            )
        if self._text_problem is not None and (problem := self._text_problem(text)):
            raise InvalidRowError("text_too_long", problem)
        return text

    def _check_not_template(self, text: str, row: Mapping[str, str]) -> None:
        """Reject a row whose text has placeholders for columns: they would not be replaced."""
        for name in _PLACEHOLDER.findall(text):
            plain = name.strip()
            if plain in row or plain.lower() in self._header:
                raise InvalidRowError(
                    "placeholder",
                    f"the text has {{{plain}}}, which is a column; a row's text is sent as it is: "
                    "set it as message.text, or write the value",
                )

    def _own(self, text: str) -> str | None:
        """Return a text of the row itself; None if it means no value."""
        return None if text[0] in self._null_starts and self._is_null(text) else text

    def _is_null(self, cell: str) -> bool:
        """Return True, and count it, if a cell has a text that means no value."""
        is_null = cell.strip().lower() in self._nulls
        if is_null:
            self.irregularities[Irregularity.NULL_MARKER] += 1
        return is_null

    def _attributes(self, row: dict[str, str]) -> dict[str, str]:
        for name in self._known_columns:
            row.pop(name, None)
        return row


def _check_signs(value: str, column: str) -> None:
    """Reject a line of a table's frame, or what a spreadsheet shows if a column is too narrow.

    Many rows have the same one, and would count as one person.
    """
    if not any(map(str.isalnum, value)):
        raise InvalidRowError("bad_id", f"column {column!r} has neither a letter nor a digit")
