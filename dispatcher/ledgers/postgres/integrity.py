"""Integrity checks of a ledger in PostgreSQL: as tables, and by the rules of the dispatcher."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.maintenance.integrity import KNOWN_VALUES, REPORT, RULES
from dispatcher.ledgers.postgres.address import load_psycopg
from dispatcher.ledgers.postgres.statements import CHECKS, fetch_row, snapshot
from dispatcher.ports.care import IntegrityFinding

if TYPE_CHECKING:
    from psycopg import Connection

_JSON_CHECK = "json_unreadable"
_JSON_VERSION = 160_000
"""The first server that checks JSON without an error."""
_INDEXED = "key_twice"
"""The check of what a unique index guarantees: it sorts the whole table, past that index."""
_RESTORE = "keep a copy of the database, and restore the last backup"
_OWN_RULES = {
    "neither_ready_nor_claimed": (
        "every contact that is not final is ready, claimed or sent",
        "contacts that nothing will be done with, although they are not final",
        REPORT,
    ),
    "ready_in_error": (
        "every ready contact is one of its campaign, and not claimed or sent as well",
        "ready contacts that are claimed or sent as well, or not in their campaign",
        REPORT,
    ),
    "final_with_due": (
        "no final contact is ready",
        "final contacts that are ready, and would be sent to",
        REPORT,
    ),
    "claimed_in_error": (
        "runs have claimed nothing that is final",
        "claims of contacts that are final or gone",
        REPORT,
    ),
    "campaign_unknown": (
        "every contact has its campaign",
        "contacts of campaigns that are not in the ledger",
        REPORT,
    ),
    "unsettled_alone": (
        "every unsettled send has its contact, which is not final",
        "unsettled sends without a contact, or of one that is final",
        REPORT,
    ),
}
_NO_INDEXES = "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off"
_READ_ALL = "SELECT SUM(LENGTH(it::text)) FROM dispatcher.{} AS it"
_TABLES = (
    "campaign", "contact", "held", "lineage", "reached", "ready", "rejected_row", "unsettled",
)  # fmt: skip


def check_integrity(connection: "Connection[Any]", *, quick: bool) -> Iterator[IntegrityFinding]:
    """Run the checks and yield each finding, whether or not it found anything.

    Each check sees one moment; none of them hinders a run. ``quick`` leaves out the search for
    damage, and the check of what an index guarantees.
    """
    if not quick:
        damage = _damage(connection)
        yield damage
        if damage.count:
            return
    version = connection.info.server_version
    for name, (sound, meaning, advice) in {**RULES, **_OWN_RULES}.items():
        if (quick and name == _INDEXED) or (name == _JSON_CHECK and version < _JSON_VERSION):
            continue
        with snapshot(connection):
            if name == _INDEXED:  # as the table has it, not as the index does
                connection.execute(_NO_INDEXES)
            (count,) = fetch_row(connection, CHECKS[name], KNOWN_VALUES)
        yield IntegrityFinding(name, sound, meaning, int(count), advice)


def _damage(connection: "Connection[Any]") -> IntegrityFinding:
    """Read every row of each table."""
    psycopg, count = load_psycopg(), 0
    for table in _TABLES:
        try:
            with snapshot(connection):
                connection.execute("SET LOCAL enable_indexonlyscan = off")
                connection.execute(_READ_ALL.format(table))
        except psycopg.errors.DataCorrupted:
            count += 1
    meaning = "tables with rows that cannot be read"
    return IntegrityFinding("damage", "all rows can be read", meaning, count, _RESTORE)
