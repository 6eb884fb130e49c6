"""Erasure of one person on request. Hashes stay, so that the person is not new again."""

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatcher.domain.status import Status
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.codec import key_hash, person_as_spelled
from dispatcher.ledgers.exclusive import exclusive_connection, transaction
from dispatcher.ledgers.maintenance.batches import spans
from dispatcher.ledgers.spellings import spellings
from dispatcher.ledgers.statements import MAINTENANCE, json_list
from dispatcher.ports import LedgerError
from dispatcher.ports.care import (
    ErasureReport,
    ErasureTarget,
    NotErased,
    ReportProgress,
    ignore_progress,
)

_REFUSALS = {
    Status.SENDING: (
        "a message to it is being sent; run the campaign until its outcome is known, then "
        "forget the rest"
    ),
    Status.IN_DOUBT: (
        "it is not known yet whether its message was accepted; run the campaign until it is "
        "known, then forget the rest"
    ),
}


@dataclass(frozen=True, slots=True)
class _Identity:
    """Everything by which the ledger identifies the person."""

    ids: frozenset[int] = frozenset()
    keys: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    externals: frozenset[str] = frozenset()
    person_hashes: frozenset[str] = frozenset()


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
        identity = _identify(connection, target, report)
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


def _identify(
    connection: sqlite3.Connection, target: ErasureTarget, report: ReportProgress
) -> _Identity:
    """Repeat the search by shared conversations and external ids until it adds nothing."""
    if target.is_external:
        names = frozenset(spellings(target.name))
        identity = _Identity(
            externals=names, person_hashes=frozenset(map(person_as_spelled, names))
        )
    else:
        identity = _identify_by_name(connection, target, report)
    while True:
        lists = {
            "conversations": json_list(identity.conversations),
            "externals": json_list(identity.externals),
            "person_hashes": json_list(identity.person_hashes),
        }
        ids = _search(connection, "contacts_of", "contact_ends", lists, report)
        ids |= _search(connection, "lineage_contacts_of", "lineage_ends", lists, report)
        ids |= _select_ids(connection, "reached_of", (lists["person_hashes"],))
        extended = _extend(connection, identity, ids)
        if extended == identity:
            return identity
        identity = extended


def _identify_by_name(
    connection: sqlite3.Connection, target: ErasureTarget, report: ReportProgress
) -> _Identity:
    ids: set[int] = set()
    for name in spellings(target.name):
        values = {"campaign": target.campaign, "name": name}
        ids |= _search(connection, "seeds", "contact_ends", values, report)
    known = _person_hashes(connection, ids)
    if any(not known[0] & hashes for hashes in known):
        raise LedgerError(
            f"{target.name!r} names more than one person; say which one with --campaign, or name "
            "the person with --external-contact"
        )
    if not ids:  # not a contact's own conversation: perhaps one that a message opened
        return _Identity(conversations=frozenset(spellings(target.name)))
    return _extend(connection, _Identity(), ids)


def _search(
    connection: sqlite3.Connection,
    statement: str,
    ends: str,
    values: Mapping[str, Any],
    report: ReportProgress,
) -> set[int]:
    """Run a statement that selects ids over all rows of a table, span by span."""
    first, last, *_ = connection.execute(MAINTENANCE[ends]).fetchone()
    ids: set[int] = set()
    for after, until in spans(first, last):
        ids |= _select_ids(connection, statement, {**values, "after": after, "until": until})
        report(until - first + 1, last - first + 1)
    return ids


def _select_ids(connection: sqlite3.Connection, name: str, values: Any) -> set[int]:
    return {id_ for (id_,) in connection.execute(MAINTENANCE[name], values)}


def _extend(connection: sqlite3.Connection, identity: _Identity, ids: set[int]) -> _Identity:
    """Add the identifiers of the contacts with ``ids``; erased contacts add nothing."""
    found, keys, conversations, externals = set(), set(), set(), set()
    hashes = set(identity.person_hashes)
    for row in connection.execute(MAINTENANCE["facts"], (json_list(ids),)):
        id_, key, conversation, external, intended, learnt, hashed, new, linked = row
        found.add(id_)
        keys.add(key)
        conversations |= {name for name in (conversation, new) if name}
        externals |= {name for name in (external, intended, learnt, linked) if name}
        hashes |= {hashed} if hashed else set()
    externals |= identity.externals
    return _Identity(
        ids=identity.ids | found,
        keys=identity.keys | keys,
        conversations=identity.conversations | conversations,
        externals=frozenset(externals),
        person_hashes=frozenset(
            hashes | {person_as_spelled(form) for name in externals for form in spellings(name)}
        ),
    )


def _person_hashes(connection: sqlite3.Connection, ids: set[int]) -> list[frozenset[str]]:
    """Return the hashes of each contact's person, without the contacts that have none."""
    by_contact = [_extend(connection, _Identity(), {id_}).person_hashes for id_ in sorted(ids)]
    return [hashes for hashes in by_contact if hashes]


def _erase(connection: sqlite3.Connection, id_: int, now: float) -> int | NotErased:
    status, campaign = connection.execute(MAINTENANCE["status_and_campaign"], (id_,)).fetchone()
    if status in _REFUSALS:
        return NotErased(campaign, id_, _REFUSALS[status])
    ids = json_list({id_})
    connection.execute(MAINTENANCE["keep_reached"], (ids,))
    connection.execute(MAINTENANCE["keep_keys"], (ids,))
    erased = connection.execute(MAINTENANCE["erase_contact"], {"id": id_, "now": now}).rowcount
    connection.execute(MAINTENANCE["erase_lineage"], (id_,))
    return erased


def _erase_rejected_rows(connection: sqlite3.Connection, names: Iterable[str]) -> int:
    """Erase the rejected rows that contain one of ``names`` as a whole word."""
    alternatives = b"|".join(re.escape(name.encode()) for name in sorted(names))
    pattern = re.compile(rb"(?<![\w-])(?:" + alternatives + rb")(?![\w-])")
    first, last = connection.execute(MAINTENANCE["rejected_ends"]).fetchone()
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
