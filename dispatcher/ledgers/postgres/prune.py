"""Pruning in short transactions, also beside runs, which do not touch contacts that are final."""

from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.codec import key_hash, person_hash
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.statements import (
    MAINTENANCE,
    execute,
    fetch_all,
    fetch_named,
    fetch_row,
    transaction,
)
from dispatcher.ports import CommandError
from dispatcher.ports.care import Pruned, PruneOrder, ReportProgress, Space, ignore_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import Connection

SPAN = 10_000
"""Ids that one transaction covers: it takes some tenths of a second."""
_LOCKED = " FOR UPDATE SKIP LOCKED"


def spans(first: int, last: int) -> "Iterator[tuple[int, int]]":
    """Divide the ids from ``first`` to ``last`` into spans: (above this id, up to that id)."""
    for after in range(first - 1, last, SPAN):
        yield after, min(after + SPAN, last)


def prune_ledger(
    connection: "Connection[Any]",
    address: PostgresAddress,
    order: PruneOrder,
    report: ReportProgress = ignore_progress,
) -> tuple[Pruned, Space]:
    """Remove old final contacts with their lineage and history, and old rejected rows.

    The newest row of the lineage stays with its contact, and the newest rejected row, as in a
    ledger in a file, which may become a copy of this one: it would give their ids again.

    Raises:
        CommandError: the order wants what only a file has.
        LedgerError: there is no such campaign.

    """
    if order.vacuum:
        raise CommandError(
            "--vacuum is for a ledger in a file: a server uses the free space again by itself. To "
            "give it back to the disk, end all runs, and execute VACUUM FULL on the server"
        )
    campaign = find_campaigns(connection, order.campaign, address).get(order.campaign or "")
    values = {"before": order.before, "campaign": campaign, "parked": order.parked}
    contacts = lineage = rejected = 0
    first, last, kept = fetch_row(connection, MAINTENANCE["contact_id_range"])
    for after, until in spans(first, last - 1):
        span = {**values, "after": after, "until": until, "kept": kept}
        with transaction(connection):
            pruned = _prune_contacts(connection, span, dry=order.dry)
        contacts, lineage = contacts + pruned[0], lineage + pruned[1]
        report(until - first + 1, last - first)
    first, last = fetch_row(connection, MAINTENANCE["rejected_id_range"])
    for after, until in spans(first, last - 1):
        span = {**values, "after": after, "until": until}
        with transaction(connection):
            rejected += _prune_rejected(connection, span, dry=order.dry)
    (size,) = fetch_row(connection, MAINTENANCE["size"])
    return Pruned(contacts, lineage, rejected), Space(int(size), 0)


def _prune_contacts(
    connection: "Connection[Any]", span: dict[str, Any], *, dry: bool
) -> tuple[int, int]:
    statement = MAINTENANCE["old_contacts"] + ("" if dry else _LOCKED)
    old = fetch_named(connection, statement, span)
    ids = {"ids": [contact["id"] for contact in old]}
    if dry or not old:
        (lineage,) = fetch_row(connection, MAINTENANCE["count_lineage"], ids)
        return len(old), int(lineage)
    keep_reached(connection, ids["ids"])
    keep_keys(connection, [(row["campaign_id"], row["key"]) for row in old if not row["erased"]])
    removed = execute(connection, MAINTENANCE["remove_lineage"], ids)
    execute(connection, MAINTENANCE["remove_contacts"], ids)
    return len(old), removed


def keep_reached(connection: "Connection[Any]", ids: "Sequence[int]") -> None:
    """Keep the hashes of the people of contacts' lineage; those that are kept already stay."""
    rows = fetch_all(connection, MAINTENANCE["lineage_people"], {"ids": list(ids)})
    values = {
        "persons": [person_hash(row[0]) for row in rows],
        "contacts": [row[1] for row in rows],
        "campaigns": [row[2] for row in rows],
        "times": [row[3] for row in rows],
    }
    execute(connection, MAINTENANCE["keep_reached"], values)


def keep_keys(connection: "Connection[Any]", keys: "Sequence[tuple[int, str]]") -> None:
    """Keep the hashes of the keys of contacts, so that none of them is a new contact again."""
    values = {
        "campaigns": [campaign for campaign, _ in keys],
        "hashes": [key_hash(key) for _, key in keys],
    }
    execute(connection, MAINTENANCE["keep_keys"], values)


def _prune_rejected(connection: "Connection[Any]", span: dict[str, Any], *, dry: bool) -> int:
    if dry:
        return int(fetch_row(connection, MAINTENANCE["count_old_rejected"], span)[0])
    return execute(connection, MAINTENANCE["remove_rejected"], span)
