"""Builds a contact from the columns of a row, or rejects the row with a reason."""

import re
from collections.abc import Mapping

from dispatcher.domain.contact import Contact
from dispatcher.sources.options import MEANINGS, RowRules
from dispatcher.sources.rows.dates import DateParser
from dispatcher.sources.rows.template import Template

ID_LIMIT = 256
"""The most characters of an id or a key."""

_safe_id = re.compile(rf"(?!\.{{1,2}}\Z)[A-Za-z0-9._~:@=+-]{{1,{ID_LIMIT}}}").fullmatch


class InvalidRowError(Exception):
    """A row that cannot become a contact.

    ``reason`` is a stable word, ``detail`` a sentence with the column's name but without any
    value of the row.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def decode(cells: bytes) -> str:
    """Return bytes of a row as text.

    Raises:
        InvalidRowError: they are not UTF-8 or have a NUL byte.

    """
    if b"\0" in cells:
        raise InvalidRowError("encoding", "a NUL byte")
    try:
        return cells.decode()
    except UnicodeDecodeError:
        raise InvalidRowError("encoding", "not UTF-8") from None


class ContactBuilder:
    """Makes contacts out of rows. A row maps column names to cells that are not blank."""

    def __init__(self, rules: RowRules) -> None:
        self._columns: dict[str, str] = {meaning: rules.column(meaning) for meaning in MEANINGS}
        self._known_columns = tuple(dict.fromkeys(self._columns.values()))
        self._filter = [(name, frozenset(values)) for name, values in rules.filter.items()]
        self._text = _template(rules.text, self._columns)
        self._subject = _template(rules.subject, self._columns)
        self._dates = DateParser(rules.zone, rules.date_format)
        self._limit = rules.text_limit

    def build(self, row: dict[str, str]) -> Contact | None:
        """Return the row's contact, or None if the filter excludes it. Changes ``row``.

        Raises:
            InvalidRowError: the row cannot become a contact.

        """
        for name, values in self._filter:
            if row.get(name, "").strip() not in values:
                return None
        columns, get = self._columns, row.get
        conversation_id = _conversation_id(get(columns["conversation_id"]), columns)
        key = get(columns["contact_key"])
        external = get(columns["external_contact_id"])
        address = get(columns["address"])
        not_before = get(columns["not_before"])
        expires_at = get(columns["expires_at"])
        return Contact(  # by position, since names cost 4% of the CPU time per row
            conversation_id if key is None else _key(key, columns["contact_key"]),
            conversation_id,
            self._message(row),
            None if external is None else _id(external, columns["external_contact_id"]),
            None if address is None else address.strip(),
            get(columns["subject"]) or _rendered(self._subject, row),
            None if not_before is None else _date(not_before, columns["not_before"], self._dates),
            None if expires_at is None else _date(expires_at, columns["expires_at"], self._dates),
            self._attributes(row),
        )

    def _message(self, row: Mapping[str, str]) -> str:
        text = row.get(self._columns["text"]) or _rendered(self._text, row)
        if text is None or not text or text.isspace():
            raise InvalidRowError("no_text", "neither the row nor the template has a text")
        if len(text) > self._limit:
            raise InvalidRowError(
                "text_too_long", f"{len(text)} characters, at most {self._limit} can be sent"
            )
        return text

    def _attributes(self, row: dict[str, str]) -> dict[str, str]:
        for name in self._known_columns:
            row.pop(name, None)
        return row


def _template(text: str | None, columns: Mapping[str, str]) -> Template | None:
    return None if text is None else Template(text).renamed(columns)


def _rendered(template: Template | None, row: Mapping[str, str]) -> str | None:
    if template is None:
        return None
    try:
        return template.render(row)
    except KeyError as error:
        raise InvalidRowError(
            "missing_placeholder", f"the template needs column {error.args[0]!r}"
        ) from None


def _conversation_id(value: str | None, columns: Mapping[str, str]) -> str:
    if value is None:
        raise InvalidRowError("no_id", f"column {columns['conversation_id']!r} is empty")
    return value if _safe_id(value) else _id(value, columns["conversation_id"])


def _id(value: str, column: str) -> str:
    """Check an id: it becomes part of a URL's path, and must not change that path."""
    value = value.strip()
    if not _safe_id(value):
        raise InvalidRowError(
            "bad_id",
            f"column {column!r}: letters, digits and ._~:@=+- only, at most {ID_LIMIT} characters",
        )
    return value


def _key(value: str, column: str) -> str:
    value = value.strip()
    if len(value) > ID_LIMIT or not value.isprintable() or " " in value:
        raise InvalidRowError(
            "bad_id",
            f"column {column!r}: no whitespace, no control characters, at most {ID_LIMIT} of any",
        )
    return value


def _date(value: str, column: str, dates: DateParser) -> float:
    try:
        return dates.seconds(value.strip())
    except ValueError as error:
        raise InvalidRowError("bad_date", f"column {column!r} {error}") from None
