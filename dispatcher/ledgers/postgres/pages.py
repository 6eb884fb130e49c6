"""Pages of rows. A cursor of the lineage is text: era, transaction and id of the last row.

Runs commit at the same time, so ids alone are not in the order of commits: a reader of ids would
miss rows. See `lineage_page` in questions.sql. Rows that were copied from a file come first, in the
order of their ids, and their cursors are those of the file: readers and sinks go on from these.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dispatcher.domain.status import FINAL
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_named, fetch_row
from dispatcher.ledgers.read.pages import contact_row, lineage_row, rejected_row
from dispatcher.ports import CommandError
from dispatcher.ports.questions import (
    BEGINNING,
    ContactRows,
    LineageRows,
    Page,
    PagedRows,
    RejectedRows,
)
from dispatcher.ports.sink import Part
from dispatcher.ports.stored_rows import LineageRow

if TYPE_CHECKING:
    from psycopg import Connection

R = TypeVar("R")

PAGE_ROWS = 1000
"""Rows of a page: one short read."""
COUNTED = 10_000
"""A larger number of rows that wait is not counted row by row."""

COPIED_X = "0"
"""The transaction of rows that were copied from a file: it is before all others."""

_CURSOR = re.compile(r"([0-9a-f]{16})-(\d{1,20})-(\d{1,19})", re.ASCII)


class Place(NamedTuple):
    """The place after a row of the lineage: its transaction and its id."""

    x: str = COPIED_X
    id: int = 0


def read_page(
    connection: "Connection[Any]", address: PostgresAddress, rows: PagedRows[R], cursor: str
) -> Page[R]:
    """Return the page after a cursor.

    Raises:
        CommandError: the cursor is not one of this ledger, or of an earlier era.
        LedgerError: the ledger at ``address`` has no such campaign.

    """
    page: Page[Any]
    if isinstance(rows, LineageRows):
        find_campaigns(connection, rows.campaign, address)
        page = _lineage_page(connection, rows, cursor)
    else:
        page = _page_by_id(connection, address, rows, cursor)
    return page


def _page_by_id(
    connection: "Connection[Any]", address: PostgresAddress, rows: Any, cursor: str
) -> Page[Any]:
    if cursor != BEGINNING and not (cursor.isascii() and cursor.isdecimal()):
        raise CommandError(f"cursor {cursor!r} is not one of this ledger: it needs a number")
    campaign = find_campaigns(connection, rows.campaign, address)[rows.campaign]
    values: dict[str, object]
    values = {"after": int(cursor or 0), "campaign": campaign, "limit": PAGE_ROWS}
    if isinstance(rows, ContactRows):
        values |= {"status": str(rows.status), "is_final": rows.status in FINAL}
    name, read = _BY_ID[type(rows)]
    found = fetch_named(connection, QUESTIONS[name], values)
    last = str(found[-1]["id"]) if found else cursor or "0"
    return Page([read(row) for row in found], last, len(found) == PAGE_ROWS)


def _lineage_page(connection: "Connection[Any]", rows: LineageRows, cursor: str) -> Page[Any]:
    era = read_era(connection)
    place = place_of(connection, cursor, era)
    values = {**place._asdict(), "campaign": rows.campaign, "limit": PAGE_ROWS}
    found = fetch_named(connection, QUESTIONS["lineage_page"], values)
    last = Place(str(found[-1]["x"]), found[-1]["id"]) if found else place
    return Page([_lineage(row) for row in found], cursor_text(era, *last), len(found) == PAGE_ROWS)


def read_era(connection: "Connection[Any]") -> str:
    """Return the era of the ledger: another one after each copy or restore."""
    return str(fetch_row(connection, QUESTIONS["era"])[0])


def lineage_after(
    connection: "Connection[Any]", part: Part, cursor: str, limit: int
) -> Sequence[tuple[str, LineageRow]]:
    """Return up to ``limit`` rows after a cursor of a part, each with its own.

    Raises:
        CommandError: the cursor is not one of this ledger, or of an earlier era.

    """
    if part == "verdicts":
        at, id_ = cursor.split() if cursor else ("0", "0")
        values = {"at": float(at), "id": int(id_), "limit": limit}
        verified = map(_lineage, fetch_named(connection, QUESTIONS["verdict_page"], values))
        return [(f"{row.verified_at!r} {row.id}", row) for row in verified]
    era = read_era(connection)
    page = {**place_of(connection, cursor, era)._asdict(), "campaign": None, "limit": limit}
    rows = fetch_named(connection, QUESTIONS["lineage_page"], page)
    return [(cursor_text(era, str(row["x"]), row["id"]), _lineage(row)) for row in rows]


def lineage_lag(connection: "Connection[Any]", cursor: str) -> int:
    """Return how many rows there are after a cursor of new rows, about."""
    place = place_of(connection, cursor, read_era(connection))
    values = {**place._asdict(), "limit": COUNTED}
    counted, oldest, newest = fetch_row(connection, QUESTIONS["lineage_lag"], values)
    if counted < COUNTED:
        return int(counted)
    return max(COUNTED, int(newest) - max(place.id, int(oldest) - 1))


def _lineage(row: dict[str, Any]) -> LineageRow:
    return lineage_row({name: value for name, value in row.items() if name != "x"})


def cursor_text(era: str, x: str, id_: int) -> str:
    """Return the cursor after a row of the lineage."""
    return str(id_) if x == COPIED_X and id_ else f"{era}-{x}-{id_}"


def place_of(connection: "Connection[Any]", cursor: str, era: str) -> Place:
    """Return the place that a cursor names.

    Raises:
        CommandError: the cursor is not one of this ledger, or of an earlier era.

    """
    if cursor == BEGINNING:
        return Place()
    parts = _CURSOR.fullmatch(cursor)
    if parts is not None and parts[1] == era:
        return Place(parts[2], int(parts[3]))
    copied = fetch_row(connection, QUESTIONS["copied_cursor"], {"cursor": cursor})
    if copied[0] is not None:
        return Place(COPIED_X, int(copied[0]))
    if copied[1] and cursor.isascii() and cursor.isdecimal():
        return Place(COPIED_X, int(cursor))
    if parts is None:
        raise CommandError(
            f"cursor {cursor!r} is not one of this ledger: it needs one that the ledger returned"
        )
    raise CommandError(
        f"cursor {cursor!r} is of an earlier state of this ledger, which was copied or "
        "restored since: begin at the first row again, and replace rows by their campaign "
        "and contact_key"
    )


_BY_ID: Mapping[type[PagedRows[Any]], tuple[str, Callable[[dict[str, Any]], Any]]] = {
    RejectedRows: ("rejected_page", rejected_row),
    ContactRows: ("contacts_page", contact_row),
}
"""The statement of each kind of rows whose cursor is an id, and how a row is read."""
