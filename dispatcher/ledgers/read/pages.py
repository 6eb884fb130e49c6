"""Pages of a ledger's rows. One process writes with growing ids, so a cursor is an id."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.codec import progress_of
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import CommandError
from dispatcher.ports.questions import (
    BEGINNING,
    ContactRows,
    LineageRows,
    Page,
    PagedRows,
    RejectedRows,
)
from dispatcher.ports.stored_rows import ContactRow, LineageRow, StoredRejectedRow

R = TypeVar("R")

_FIRST = "0"

PAGE_ROWS = 1000
"""Rows of a page: one short read."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The statement of one kind of rows, its values after the id, and how a row is read."""

    statement: str
    values: Callable[[Any, int | None], tuple[object, ...]]
    read: Callable[[dict[str, Any]], Any]


def read_page(
    connection: sqlite3.Connection, path: Path, rows: PagedRows[R], cursor: str
) -> Page[R]:
    """Return the page after a cursor. ``connection`` returns rows with names.

    Raises:
        CommandError: the cursor is not a number.
        LedgerError: the ledger at ``path`` has no such campaign.

    """
    after, kind = _id(cursor), _KINDS[type(rows)]
    values = kind.values(rows, _campaign_id(connection, path, rows))
    found = connection.execute(SQL[kind.statement], (after, *values, PAGE_ROWS)).fetchall()
    last = str(found[-1]["id"]) if found else cursor or _FIRST
    return Page([kind.read(dict(row)) for row in found], last, len(found) == PAGE_ROWS)


def _id(cursor: str) -> int:
    if cursor == BEGINNING:
        return 0
    if not (cursor.isascii() and cursor.isdecimal()):
        raise CommandError(f"cursor {cursor!r} is not one of this ledger: it needs a number")
    return int(cursor)


def _campaign_id(connection: sqlite3.Connection, path: Path, rows: Any) -> int | None:
    return find_campaigns(connection, rows.campaign, path).get(rows.campaign)


def lineage_row(values: dict[str, Any]) -> LineageRow:
    """Return a row of the view ``lineage_row``."""
    values["relation"] = Relation(values["relation"])
    values["reason"] = Reason(values["reason"])
    values["attributes"] = orjson.loads(values["attributes"] or "{}")
    return LineageRow(**values)


def rejected_row(values: dict[str, Any]) -> StoredRejectedRow:
    """Return a rejected row from its columns."""
    return StoredRejectedRow(**values)


def contact_row(values: dict[str, Any]) -> ContactRow:
    """Return a contact from its columns."""
    values["status"] = Status(values["status"])
    values["reason"] = Reason(values["reason"]) if values["reason"] else None
    values["intent_step"] = Step(values["intent_step"]) if values["intent_step"] else None
    values["progress"] = progress_of(values["progress"])
    return ContactRow(**values)


_KINDS: Mapping[type[PagedRows[Any]], _Kind] = {
    LineageRows: _Kind("lineage_page", lambda rows, _: (rows.campaign,), lineage_row),
    RejectedRows: _Kind("rejected_page", lambda _, campaign: (campaign,), rejected_row),
    ContactRows: _Kind("contacts_page", lambda rows, id_: (id_, rows.status), contact_row),
}
