"""Removing what was settled long ago, so that nobody becomes new again."""

import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from dispatcher.ledgers.maintenance.batches import (
    SPAN,
    BatchGenerator,
    ReportProgress,
    quietly,
    spans,
)
from dispatcher.ledgers.maintenance.statements import CARE


@dataclass(frozen=True, slots=True)
class PruneOrder:
    """What is to go: settled, or rejected as a row, before ``before`` (seconds since the epoch).

    ``campaign`` is the ledger's own number of one, None for all. With ``dry`` it is only counted.
    """

    before: float
    campaign: int | None = None
    parked: bool = False
    dry: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would go."""

    contacts: int
    lineage: int
    rejected: int


def prune(
    order: PruneOrder, tell: ReportProgress = quietly, span: int = SPAN
) -> BatchGenerator[Pruned]:
    """Remove old final contacts with their lineage and story, and old rejected rows.

    ``span`` is how many contacts one job looks at.

    The newest row of each table stays whatever its age: numbers are never given twice, since
    readers remember how far they came by them.
    """
    first, last, kept = yield lambda connection: connection.execute(CARE["contact_ends"]).fetchone()
    contacts = lineage = rejected = 0
    for after, until in spans(first, last - 1, span):
        found = yield partial(_contacts, order=order, after=after, until=until, kept=kept)
        contacts, lineage = contacts + found[0], lineage + found[1]
        tell(until - first + 1, last - first)
    first, last = yield lambda connection: connection.execute(CARE["rejected_ends"]).fetchone()
    for after, until in spans(first, last - 1):
        rejected += yield partial(_rejected, order=order, after=after, until=until)
    return Pruned(contacts, lineage, rejected)


@dataclass(frozen=True, slots=True)
class Space:
    """The ledger's file in bytes: all of it, and what it will use again before it grows."""

    whole: int
    free: int


def space(connection: sqlite3.Connection) -> Space:
    """Measure the file."""
    size, pages, free = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return Space(pages * size, free * size)


def vacuum(connection: sqlite3.Connection) -> None:
    """Write the file anew without what is free: it needs as much disk again, and its time."""
    connection.execute("PRAGMA temp_store = FILE")  # in memory it could be larger than that
    connection.execute("VACUUM")


def _contacts(
    connection: sqlite3.Connection, order: PruneOrder, after: int, until: int, kept: int
) -> tuple[int, int]:
    values = {**_values(order, after, until), "kept": kept, "parked": order.parked}
    (ids,) = connection.execute(CARE["old_contacts"], values).fetchone()
    number = len(orjson.loads(ids))
    if order.dry or not number:
        (lineage,) = connection.execute(CARE["count_lineage"], (ids,)).fetchone()
        return number, lineage
    connection.execute(CARE["keep_reached"], (ids,))
    connection.execute(CARE["keep_keys"], (ids,))
    lineage = connection.execute(CARE["remove_lineage"], (ids,)).rowcount
    connection.execute(CARE["remove_contacts"], (ids,))
    return number, lineage


def _rejected(connection: sqlite3.Connection, order: PruneOrder, after: int, until: int) -> int:
    values = _values(order, after, until)
    (ids,) = connection.execute(CARE["old_rejected"], values).fetchone()
    if not order.dry:
        connection.execute(CARE["remove_rejected"], (ids,))
    return len(orjson.loads(ids))


def _values(order: PruneOrder, after: int, until: int) -> dict[str, Any]:
    return {"before": order.before, "campaign": order.campaign, "after": after, "until": until}
