"""Erasing one person on request: what names them goes, and hashes keep them from being new."""

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from dispatcher.domain.status import Status
from dispatcher.ledgers.codec import key_hash, person_of
from dispatcher.ledgers.maintenance.batches import BatchGenerator, ReportProgress, quietly, spans
from dispatcher.ledgers.maintenance.statements import CARE
from dispatcher.ports import LedgerError

_WHY_NOT = {
    Status.SENDING: "a message to it is on its way; run the campaign until its end is known, "
    "then forget the rest",
    Status.IN_DOUBT: "nobody knows yet whether its message was taken; run the campaign until it "
    "is known, then forget the rest",
    Status.CLAIMED: "a run works on it just now; try again in a minute",
}


@dataclass(frozen=True, slots=True)
class ErasureTarget:
    """Who is to be forgotten: ``name`` is a contact key or conversation id, else an external id.

    ``campaign`` is the ledger's own number of the campaign that a key is looked up in, None for
    all; the person is forgotten in all of them either way.
    """

    name: str
    is_external: bool = False
    campaign: int | None = None


@dataclass(frozen=True, slots=True)
class NotErased:
    """A contact that was not erased, by its place, and why not."""

    campaign: str
    id: int
    why: str


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What was erased. ``before`` tells that only hashes of an earlier erasure were found."""

    contacts: int
    rejected: int
    refused: tuple[NotErased, ...] = ()
    before: bool = False


@dataclass(frozen=True, slots=True)
class _Names:
    """All that the ledger knows the person by."""

    ids: frozenset[int] = frozenset()
    keys: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    externals: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()


def erase(
    whom: ErasureTarget, now: float, *, running: bool = False, tell: ReportProgress = quietly
) -> BatchGenerator[ErasureReport]:
    """Erase a person from contacts, lineage and rejected rows of every campaign.

    ``running`` tells that a daemon works on the ledger: what it has claimed is refused then.
    Afterwards the write-ahead log is to be emptied, too.

    Raises:
        LedgerError: the key names more than one person.

    """
    names = yield from _identify(whom, tell)
    erased, refused = 0, []
    for id_ in sorted(names.ids):
        outcome = yield partial(_erase, id_=id_, now=now, running=running)
        if isinstance(outcome, NotErased):
            refused.append(outcome)
        else:
            erased += outcome
    words = {whom.name, *names.keys, *names.conversations, *names.externals}
    rejected = yield from _rejected(words)
    yield _forget_samples
    before = False
    if not (erased or rejected or refused):
        before = yield partial(_was_known, name=whom.name)
    return ErasureReport(erased, rejected, tuple(refused), before)


def _identify(whom: ErasureTarget, tell: ReportProgress) -> BatchGenerator[_Names]:
    """Look again for whoever shares a conversation or an external id, until nobody is added."""
    names = _Names()
    if whom.is_external:
        names = replace(
            names,
            externals=frozenset({whom.name}),
            persons=frozenset({person_of(whom.name)}),
        )
    else:
        names = yield from _seeded(whom, tell)
    while True:
        ids = yield from _found("contacts_of", "contact_ends", names, tell)
        ids |= yield from _found("lineage_of", "lineage_ends", names, tell)
        ids |= yield partial(_reached, names=names)
        grown = yield partial(_gather, names=names, ids=ids)
        if grown == names:
            return names
        names = grown


def _seeded(whom: ErasureTarget, tell: ReportProgress) -> BatchGenerator[_Names]:
    first, last, *_ = yield partial(_ends, name="contact_ends")
    ids: set[int] = set()
    for after, until in spans(first, last):
        values = {"after": after, "until": until, "campaign": whom.campaign, "name": whom.name}
        rows = yield partial(_rows, name="seeds", values=values)
        ids |= {id_ for (id_,) in rows}
        tell(until - first + 1, last - first + 1)
    known = yield partial(_persons, ids=ids)
    if any(not known[0] & persons for persons in known):
        raise LedgerError(
            f"{whom.name!r} names more than one person; say which one with --campaign, or name "
            "the person with --external-contact"
        )
    if not ids:  # no contact's own conversation: perhaps one that a message opened
        return _Names(conversations=frozenset({whom.name}))
    names: _Names = yield partial(_gather, names=_Names(), ids=ids)
    return names


def _found(
    statement: str, ends: str, names: _Names, tell: ReportProgress
) -> BatchGenerator[set[int]]:
    first, last, *_ = yield partial(_ends, name=ends)
    lists = {
        "conversations": _listed(names.conversations),
        "externals": _listed(names.externals),
        "persons": _listed(names.persons),
    }
    found: set[int] = set()
    for after, until in spans(first, last):
        values = {**lists, "after": after, "until": until}
        rows = yield partial(_rows, name=statement, values=values)
        found |= {id_ for (id_,) in rows}
        tell(until - first + 1, last - first + 1)
    return found


def _ends(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(CARE[name]).fetchone()


def _rows(connection: sqlite3.Connection, name: str, values: Any) -> list[Any]:
    return connection.execute(CARE[name], values).fetchall()


def _reached(connection: sqlite3.Connection, names: _Names) -> set[int]:
    rows = connection.execute(CARE["reached_of"], (_listed(names.persons),))
    return {id_ for (id_,) in rows}


def _gather(connection: sqlite3.Connection, names: _Names, ids: set[int]) -> _Names:
    """Add what the contacts with ``ids`` are known by; those erased before add nothing."""
    found, keys, conversations, externals = set(), set(), set(), set()
    persons = set(names.persons)
    for row in connection.execute(CARE["facts"], (_listed(ids),)):
        id_, key, conversation, external, intended, learnt, person, new, linked = row
        found.add(id_)
        keys.add(key)
        conversations |= {each for each in (conversation, new) if each}
        externals |= {each for each in (external, intended, learnt, linked) if each}
        persons |= {person} if person else set()
    externals |= names.externals
    return _Names(
        ids=names.ids | found,
        keys=names.keys | keys,
        conversations=names.conversations | conversations,
        externals=frozenset(externals),
        persons=frozenset(persons | {person_of(each) for each in externals}),
    )


def _persons(connection: sqlite3.Connection, ids: set[int]) -> list[frozenset[str]]:
    """Return by whom each of the contacts is known, where it is."""
    each = [_gather(connection, _Names(), {id_}).persons for id_ in sorted(ids)]
    return [persons for persons in each if persons]


def _erase(
    connection: sqlite3.Connection, id_: int, now: float, *, running: bool
) -> int | NotErased:
    status, campaign = connection.execute(CARE["standing"], (id_,)).fetchone()
    why = _WHY_NOT.get(Status(status))
    if why is not None and (running or status != Status.CLAIMED):
        return NotErased(campaign, id_, why)
    ids = _listed({id_})
    connection.execute(CARE["keep_reached"], (ids,))
    connection.execute(CARE["keep_keys"], (ids,))
    erased = connection.execute(CARE["erase_contact"], {"id": id_, "now": now}).rowcount
    connection.execute(CARE["erase_lineage"], (id_,))
    return erased


def _rejected(words: Iterable[str]) -> BatchGenerator[int]:
    """Erase the rejected rows that hold one of ``words`` as a whole word."""
    alternatives = b"|".join(re.escape(word.encode()) for word in sorted(words))
    pattern = re.compile(rb"(?<![\w-])(?:" + alternatives + rb")(?![\w-])")
    first, last = yield partial(_ends, name="rejected_ends")
    erased = 0
    for after, until in spans(first, last):
        erased += yield partial(_erase_rejected, pattern=pattern, after=after, until=until)
    return erased


def _erase_rejected(
    connection: sqlite3.Connection, pattern: re.Pattern[bytes], after: int, until: int
) -> int:
    rows = connection.execute(CARE["rejected_span"], (after, until))
    ids = {
        id_
        for id_, raw, _, detail in rows
        if pattern.search(raw) or pattern.search(detail.encode())
    }
    return connection.execute(CARE["erase_rejected"], (_listed(ids),)).rowcount if ids else 0


def _forget_samples(connection: sqlite3.Connection) -> None:
    """Remove the samples of keys and ids that SQLite's planner may keep."""
    kept = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'sqlite_stat4'")
    if kept.fetchone():
        connection.execute("DELETE FROM sqlite_stat4")


def _was_known(connection: sqlite3.Connection, name: str) -> bool:
    values = {"hash": key_hash(name), "person": person_of(name)}
    return bool(connection.execute(CARE["was_known"], values).fetchone()[0])


def _listed(values: Iterable[str | int]) -> str:
    return orjson.dumps(list(values)).decode()
