"""Erasure of one person on request. Hashes stay, so that the person is not new again."""

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dispatcher.domain.status import Status
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.codec import key_hash, person_as_spelled
from dispatcher.ledgers.exclusive import exclusive_connection, transaction
from dispatcher.ledgers.maintenance.batches import spans
from dispatcher.ledgers.maintenance.identity import (
    Facts,
    Identity,
    identify,
    words_pattern,
)
from dispatcher.ledgers.spellings import spellings
from dispatcher.ledgers.statements import MAINTENANCE, json_list
from dispatcher.ports.care import (
    ErasureReport,
    ErasureTarget,
    NotErased,
    ReportProgress,
    ignore_progress,
)

REFUSALS = {
    Status.SENDING: (
        "a message to it is being sent; run the campaign until its outcome is known, then "
        "forget the rest"
    ),
    Status.IN_DOUBT: (
        "it is not known yet whether its message was accepted; run the campaign until it is "
        "known, then forget the rest"
    ),
}
"""Why contacts of these statuses are not erased."""


def erase_person(
    path: Path, target: ErasureTarget, now: float, *, report: ReportProgress = ignore_progress
) -> ErasureReport:
    """Erase a person from contacts, lineage and rejected rows of every campaign.

    Each contact is one transaction. Empty the write-ahead log afterwards.

    Raises:
        LedgerLockedError: a dispatcher has locked the ledger.
        LedgerError: there is no ledger, no such campaign, or the key names several persons.

    """
    with exclusive_connection(path) as connection:
        find_campaigns(connection, target.campaign, path)
        identity = identify(_FileRecords(connection, target.campaign, report), target)
        erased, refused = 0, []
        for id_ in sorted(identity.ids):
            with transaction(connection):
                outcome = _erase(connection, id_, now)
            if isinstance(outcome, NotErased):
                refused.append(outcome)
            else:
                erased += outcome
        found = (target.name, *identity.keys, *identity.conversations, *identity.externals)
        names = {form for name in found for form in spellings(name)}
        rejected = _erase_rejected_rows(connection, names)
        _erase_samples(connection)
        known_before = not (erased or rejected or refused) and _was_known(connection, target)
    return ErasureReport(erased, rejected, tuple(refused), known_before)


class _FileRecords:
    """The contacts of a ledger's file, found span by span."""

    def __init__(
        self, connection: sqlite3.Connection, campaign: str | None, report: ReportProgress
    ) -> None:
        self._connection, self._campaign, self._report = connection, campaign, report

    def named(self, names: Sequence[str]) -> set[int]:
        """Return the contacts of the campaign with one of these keys or conversations."""
        ids: set[int] = set()
        for name in names:
            values = {"campaign": self._campaign, "name": name}
            ids |= self._search("seeds", "contact_id_range", values)
        return ids

    def of(self, identity: Identity) -> set[int]:
        """Return the contacts of all campaigns that share something with an identity."""
        lists = {
            "conversations": json_list(identity.conversations),
            "externals": json_list(identity.externals),
            "person_hashes": json_list(identity.person_hashes),
        }
        ids = self._search("contacts_of", "contact_id_range", lists)
        ids |= self._search("lineage_contacts_of", "lineage_id_range", lists)
        return ids | self._select_ids("reached_of", (lists["person_hashes"],))

    def facts(self, ids: Iterable[int]) -> Iterable[Facts]:
        """Return what is known of contacts that were not erased."""
        return self._connection.execute(MAINTENANCE["facts"], (json_list(ids),))

    def _search(self, statement: str, id_range: str, values: Mapping[str, Any]) -> set[int]:
        """Run a statement that selects ids over all rows of a table."""
        first, last, *_ = self._connection.execute(MAINTENANCE[id_range]).fetchone()
        ids: set[int] = set()
        for after, until in spans(first, last):
            ids |= self._select_ids(statement, {**values, "after": after, "until": until})
            self._report(until - first + 1, last - first + 1)
        return ids

    def _select_ids(self, name: str, values: Any) -> set[int]:
        return {id_ for (id_,) in self._connection.execute(MAINTENANCE[name], values)}


def _erase(connection: sqlite3.Connection, id_: int, now: float) -> int | NotErased:
    status, campaign = connection.execute(MAINTENANCE["status_and_campaign"], (id_,)).fetchone()
    if status in REFUSALS:
        return NotErased(campaign, id_, REFUSALS[status])
    ids = json_list({id_})
    connection.execute(MAINTENANCE["keep_reached"], (ids,))
    connection.execute(MAINTENANCE["keep_keys"], (ids,))
    erased = connection.execute(MAINTENANCE["erase_contact"], {"id": id_, "now": now}).rowcount
    connection.execute(MAINTENANCE["erase_lineage"], (id_,))
    return erased


def _erase_rejected_rows(connection: sqlite3.Connection, names: Iterable[str]) -> int:
    """Erase the rejected rows that contain one of ``names`` as a whole word."""
    pattern = re.compile(words_pattern(names))
    first, last = connection.execute(MAINTENANCE["rejected_id_range"]).fetchone()
    erased = 0
    for span in spans(first, last):
        ids = {
            id_
            for id_, raw, _, detail in connection.execute(MAINTENANCE["rejected_span"], span)
            if pattern.search(raw) or pattern.search(detail.encode())
        }
        if ids:
            erased += connection.execute(MAINTENANCE["erase_rejected"], (json_list(ids),)).rowcount
    return erased


def _erase_samples(connection: sqlite3.Connection) -> None:
    """Remove the samples of keys and ids that SQLite's planner may store."""
    table = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'sqlite_stat4'")
    if table.fetchone():
        connection.execute("DELETE FROM sqlite_stat4")


def _was_known(connection: sqlite3.Connection, target: ErasureTarget) -> bool:
    """Return True if there is a hash of the target as what it was named, and of nothing else.

    The hash of a person stays beside their data, so it does not show that these were erased.
    """
    for form in spellings(target.name):
        key = None if target.is_external else key_hash(form)
        person = person_as_spelled(form) if target.is_external else None
        values = {"hash": key, "person_hash": person}
        if connection.execute(MAINTENANCE["was_known"], values).fetchone()[0]:
            return True
    return False
