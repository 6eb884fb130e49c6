"""Makes contacts out of messages: the value is a JSON object, the key may be the contact key."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.status import Irregularity
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.jsonl_rows import parse_object
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT
from dispatcher.sources.rows.row_errors import InvalidRowError, decode

_LINE_ENDS = re.compile(rb"[\r\n]")


class Message(Protocol):
    """A message as the library returns it."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key; None if it has none."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its value; None for a tombstone, which deletes a key of a compacted topic."""
        ...


@dataclass(frozen=True, slots=True)
class BuiltRows:
    """What messages became; those that are in neither list were excluded by the filter."""

    contacts: list[Contact] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    irregularities: dict[Irregularity, int] = field(default_factory=dict)
    filtered: int = 0


class MessageRows:
    """Builds the rows of messages; ``key_is_contact_key`` takes the contact key from the key."""

    def __init__(self, rules: RowRules, *, key_is_contact_key: bool = False) -> None:
        self._builder = ContactBuilder(rules)
        self._key_is_contact_key = key_is_contact_key
        self._key_column = rules.column("contact_key")

    @property
    def missing_columns(self) -> tuple[str, ...]:
        """The columns that the settings name and that no object had; none before an object came."""
        return self._builder.missing_columns if self._builder.has_objects else ()

    def build(self, stream: str, messages: Sequence[Message]) -> BuiltRows:
        """Return the rows of messages of one partition. A bad one is kept with its offset."""
        contacts: list[Contact] = []
        rejected: list[RejectedRow] = []
        for message in messages:
            try:
                contact = self._contact(message)
            except InvalidRowError as error:
                raw = _LINE_ENDS.sub(b" ", (message.value or b"")[:RAW_LIMIT])
                row = RejectedRow(stream, message.offset, error.reason, error.detail, raw)
                rejected.append(row)
            else:
                if contact is not None:
                    contacts.append(contact)
        filtered = len(messages) - len(contacts) - len(rejected)
        return BuiltRows(contacts, rejected, self._take_irregularities(), filtered)

    def _take_irregularities(self) -> dict[Irregularity, int]:
        counts: Counter[Irregularity] = self._builder.irregularities
        taken = dict(counts)
        counts.clear()
        return taken

    def _contact(self, message: Message) -> Contact | None:
        value = message.value
        if value is None:
            raise InvalidRowError("tombstone", "the message has no value")
        if len(value) > LINE_LIMIT:
            raise InvalidRowError("too_long", f"a message of more than {LINE_LIMIT} bytes")
        cells = parse_object(value, self._builder.columns.is_used)
        if self._key_is_contact_key:
            self._add_key(cells, message.key)
        return self._builder.build_object(cells)

    def _add_key(self, cells: dict[str, str], key: bytes | None) -> None:
        if not key:
            raise InvalidRowError("bad_id", "the message has no key, which is the contact key")
        text, column = decode(key), self._key_column
        if cells.setdefault(column, text) != text:
            raise InvalidRowError(
                "columns", f"column {column!r} differs from the key of the message"
            )
