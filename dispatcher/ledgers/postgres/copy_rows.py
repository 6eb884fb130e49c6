"""Rows as a database of PostgreSQL has them, and in the form of both kinds of ledgers."""

from collections.abc import Iterable, Sequence

from dispatcher.domain.status import REPLAYABLE, Status
from dispatcher.ledgers.copying.tables import CONTACT, LINEAGE, LedgerTable, Row
from dispatcher.ledgers.postgres.pages import COPIED_X
from dispatcher.ledgers.postgres.text import escaped, plain

_INTENT = tuple(name for name in CONTACT.columns if name.startswith("intent_"))
_ELSEWHERE = ("look_at", "due")
"""What a contact has in ``unsettled`` or ``ready``."""
_STATUS, _REASON, _TEXT = (CONTACT.place(name) for name in ("status", "reason", "text"))
_ID, _CAMPAIGN, _DUE = (CONTACT.place(name) for name in ("id", "campaign_id", "due"))
_ELSEWHERE_PLACES = sorted((CONTACT.place(name) for name in _ELSEWHERE), reverse=True)
_UNSETTLED = (
    "id", "campaign_id", "status", "conversation_id", "person", "look_at", *_INTENT, "progress",
)  # fmt: skip
_UNSETTLED_PLACES = [CONTACT.place(name) for name in _UNSETTLED]
_INTENT_PLACES = frozenset(CONTACT.place(name) for name in _INTENT)


def select_of(table: LedgerTable, limit: int | None, *, after: bool) -> str:
    """Return the statement for the next rows; with ``after`` it takes the place of the last one."""
    columns = ", ".join(_selected(name, kind) for name, kind in table.columns.items())
    key = ", ".join(table.key)
    where = f"WHERE ({key}) > ({', '.join(['%s'] * len(table.key))})" if after else ""
    page = f"FROM dispatcher.{table.name} {where} ORDER BY {key}"
    if limit is not None:
        page += f" LIMIT {limit}"
    if table is CONTACT:  # the view has no order that a page could begin in
        page = f"FROM dispatcher.contact_now WHERE id IN (SELECT id {page}) ORDER BY id"
    return f"SELECT {columns} {page}"


def _selected(name: str, kind: str) -> str:
    return f"{name}::integer" if kind == "flag" else name


def plain_rows(table: LedgerTable, rows: Iterable[Row]) -> list[Row]:
    """Return rows with their text as it was before it was stored."""
    texts = _texts(table)
    return [_with_plain_text(row, texts) for row in rows]


def _with_plain_text(row: Row, texts: Sequence[int]) -> Row:
    for place in texts:
        value = row[place]
        if value is not None and "\x10" in value:
            changed = list(row)
            for number in texts:
                changed[number] = None if row[number] is None else plain(row[number])
            return tuple(changed)
    return row


def copied_values(table: LedgerTable, rows: Sequence[Row]) -> tuple[list[str], list[Row]]:
    """Return the columns of a table in the database, and the values of rows in them."""
    texts = _texts(table)
    stored = [_with_escaped_text(row, texts) for row in rows]
    if table is LINEAGE:
        return [*table.names, "x"], [(*row, COPIED_X) for row in stored]
    if table is CONTACT:
        names = [name for name in table.names if name not in _ELSEWHERE]
        return [*names, "kept"], [_contact_values(row) for row in stored]
    return table.names, stored


def _contact_values(row: Row) -> Row:
    """Return a contact without what is in other tables, and with ``kept``."""
    status = row[_STATUS]
    values = list(row)
    if row[_REASON] is None:
        values[_STATUS] = "open"
    if status == Status.IN_DOUBT:
        for place in _INTENT_PLACES:
            values[place] = None
    for place in _ELSEWHERE_PLACES:
        del values[place]
    is_kept = status == Status.PARKED or (status in REPLAYABLE and row[_TEXT] is not None)
    return (*values, True if is_kept else None)


def ready_values(rows: Sequence[Row]) -> tuple[list[str], list[Row]]:
    """Return the columns of ``ready``, and the values of the contacts that are ready."""
    values = [(row[_ID], row[_CAMPAIGN], row[_DUE]) for row in rows if row[_STATUS] == Status.READY]
    return ["contact_id", "campaign_id", "due"], values


def unsettled_values(rows: Sequence[Row], daemon: int) -> tuple[list[str], list[Row]]:
    """Return the columns of ``unsettled``, and the values of the contacts that are in doubt."""
    texts = _texts(CONTACT)
    doubts = [_with_escaped_text(row, texts) for row in rows if row[_STATUS] == Status.IN_DOUBT]
    values = [(*(row[place] for place in _UNSETTLED_PLACES), daemon) for row in doubts]
    return ["contact_id", *_UNSETTLED[1:], "daemon_id"], values


def _with_escaped_text(row: Row, texts: Sequence[int]) -> Row:
    for place in texts:
        value = row[place]
        if value is not None and ("\x10" in value or "\0" in value):
            changed = list(row)
            for number in texts:
                changed[number] = None if row[number] is None else escaped(row[number])
            return tuple(changed)
    return row


def _texts(table: LedgerTable) -> list[int]:
    return [place for place, kind in enumerate(table.columns.values()) if kind == "text"]
