"""Pruning: removes old final contacts. Hashes stay, so that no contact or person is new again."""

import sqlite3
from pathlib import Path
from typing import Any

import orjson

from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.exclusive import exclusive_connection, transaction
from dispatcher.ledgers.maintenance.batches import spans
from dispatcher.ledgers.read.reader import read_connection
from dispatcher.ledgers.statements import MAINTENANCE
from dispatcher.ports.care import Pruned, PruneOrder, ReportProgress, Space, ignore_progress


def prune_ledger(
    path: Path, order: PruneOrder, *, report: ReportProgress = ignore_progress
) -> tuple[Pruned, Space]:
    """Prune the ledger at ``path``. A dispatcher may use it only if ``order.dry`` is set.

    Raises:
        LedgerLockedError: a dispatcher has locked the ledger.
        LedgerError: there is no ledger, no such campaign, or it cannot be used.

    """
    opened = read_connection(path) if order.dry else exclusive_connection(path)
    with opened as connection:
        find_campaigns(connection, order.campaign, path)
        pruned = prune(connection, order, report)
        if order.vacuum and not order.dry:
            _vacuum(connection)
        return pruned, _space(connection)


def prune(
    connection: sqlite3.Connection, order: PruneOrder, report: ReportProgress = ignore_progress
) -> Pruned:
    """Remove old final contacts with their lineage and history, and old rejected rows.

    Each span of ids is one transaction. The newest row of each table stays whatever its age,
    because an id must never be used twice: readers remember the id up to which they have read.
    """
    begin = "BEGIN" if order.dry else "BEGIN IMMEDIATE"
    contacts = lineage = rejected = 0
    first, last, kept = connection.execute(MAINTENANCE["contact_id_range"]).fetchone()
    for span in spans(first, last - 1):
        with transaction(connection, begin):
            pruned = _prune_contacts(connection, order, span, kept)
        contacts, lineage = contacts + pruned[0], lineage + pruned[1]
        report(span[1] - first + 1, last - first)
    first, last = connection.execute(MAINTENANCE["rejected_id_range"]).fetchone()
    for span in spans(first, last - 1):
        with transaction(connection, begin):
            rejected += _prune_rejected(connection, order, span)
    return Pruned(contacts, lineage, rejected)


def _prune_contacts(
    connection: sqlite3.Connection, order: PruneOrder, span: tuple[int, int], kept: int
) -> tuple[int, int]:
    values = {**_values(order, span), "kept": kept, "parked": order.parked}
    (ids,) = connection.execute(MAINTENANCE["old_contacts"], values).fetchone()
    number = len(orjson.loads(ids))
    if order.dry or not number:
        (lineage,) = connection.execute(MAINTENANCE["count_lineage"], (ids,)).fetchone()
        return number, lineage
    connection.execute(MAINTENANCE["keep_reached"], (ids,))
    connection.execute(MAINTENANCE["keep_keys"], (ids,))
    lineage = connection.execute(MAINTENANCE["remove_lineage"], (ids,)).rowcount
    connection.execute(MAINTENANCE["remove_contacts"], (ids,))
    return number, lineage


def _prune_rejected(
    connection: sqlite3.Connection, order: PruneOrder, span: tuple[int, int]
) -> int:
    (ids,) = connection.execute(MAINTENANCE["old_rejected"], _values(order, span)).fetchone()
    if not order.dry:
        connection.execute(MAINTENANCE["remove_rejected"], (ids,))
    return len(orjson.loads(ids))


def _values(order: PruneOrder, span: tuple[int, int]) -> dict[str, Any]:
    after, until = span
    return {"before": order.before, "campaign": order.campaign, "after": after, "until": until}


def _space(connection: sqlite3.Connection) -> Space:
    size, pages, free = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return Space(pages * size, free * size)


def _vacuum(connection: sqlite3.Connection) -> None:
    """Rewrite the file without its free pages; this needs as much free disk as the file has."""
    connection.execute("PRAGMA temp_store = FILE")  # the copy may not fit into memory
    connection.execute("VACUUM")
