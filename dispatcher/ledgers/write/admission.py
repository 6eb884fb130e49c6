"""Admission: writes the contacts, rejected rows, counts and place of a batch."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from dispatcher.domain.contact import Contact
from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import contact_row, key_hash, person_hash
from dispatcher.ledgers.spellings import respelled_people, spelled_keys, spelled_people
from dispatcher.ledgers.statements import SQL, fetch_json, json_list, many
from dispatcher.ledgers.write import index_staging, receipts
from dispatcher.ports import Admitted, Batch, Claim, Stream, StreamMovedError

_CHUNK = 64  # rows of one INSERT: there are few different statements, and SQLite caches them


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What was looked up about a batch before its admission, after at least ``merges`` merges.

    ``keys`` are those of the batch's keys that contacts of the campaign had, in staged rows or in
    merged ones. ``person_hashes`` are those of its people that were found among the merged rows,
    ``reached`` those that got a message in the campaign, and whose send has ended. For ``merges``
    see `lookup_ahead`.
    """

    merges: int
    keys: frozenset[str]
    person_hashes: frozenset[str]
    reached: frozenset[str]

    def current_keys(
        self, connection: sqlite3.Connection, campaign: int, keys: Sequence[str]
    ) -> frozenset[str]:
        """Return those of the batch's keys that contacts of the campaign have now."""
        if self.merges != index_staging.merge_count(connection):
            return known_keys(connection, campaign, keys)
        others = [key for key in keys if key not in self.keys]
        return self.keys | known_keys(connection, campaign, others, staged_only=True)


@dataclass(frozen=True, slots=True)
class ClaimOptions:
    """Claim up to ``limit`` contacts of a batch that are due at ``now``.

    If ``lookup`` is None, keys and people are looked up during the admission.
    """

    now: float
    limit: int
    lookup: LookupResult | None = None


def admit(
    connection: sqlite3.Connection,
    campaign: int,
    ids: Iterator[int],
    batch: Batch,
    claiming: ClaimOptions,
) -> Admitted:
    """Write ``batch`` in the open transaction; ``ids`` yields unused ids of contacts.

    If it repeats a request, nothing is written.
    """
    if batch.request is not None:
        repeat = receipts.find_repeat(connection, campaign, batch.request, claiming.now)
        if repeat is not None:
            return repeat
    admitted = _admit(connection, campaign, ids, batch, claiming)
    receipts.keep(connection, campaign, batch, admitted, claiming.now)
    return admitted


def _admit(
    connection: sqlite3.Connection,
    campaign: int,
    ids: Iterator[int],
    batch: Batch,
    claiming: ClaimOptions,
) -> Admitted:
    now = claiming.now
    new = unknown_contacts(connection, campaign, batch.contacts, claiming.lookup)
    rows: list[Sequence[Any]] = []
    claims: list[Claim] = []
    for contact, id_ in zip(new, ids, strict=False):
        due = now if contact.not_before is None else contact.not_before
        if due <= now and len(claims) < claiming.limit:
            claims.append(Claim(id_, contact))
            rows.append(contact_row(id_, campaign, "claimed", None, contact))
        else:
            rows.append(contact_row(id_, campaign, "ready", due, contact))
    _insert(connection, "add_contacts", rows)
    _respell_people(connection, new)
    claims = _mark_same_person(connection, campaign, claims, claiming.lookup)
    duplicates = len(batch.contacts) - len(new)
    counts = (batch.rows, len(new), duplicates, batch.filtered, campaign)
    connection.execute(SQL["count_rows"], counts)
    _reject(connection, campaign, batch, now)
    if batch.stream is not None:
        _move(connection, campaign, batch.stream, batch.before)
    starts = (contact.not_before for contact in new if contact.not_before is not None)
    later = [start for start in starts if start > now]
    return Admitted(len(new), duplicates, claims, later)


def _move(
    connection: sqlite3.Connection, campaign: int, stream: Stream, before: str | None
) -> None:
    """Write a stream's place if the ledger has the place ``before``.

    Raises:
        StreamMovedError: it has another one, so that something else reads the stream.

    """
    row = (stream.name, stream.at, stream.rows, stream.done, campaign, stream.fingerprint)
    if before is None:
        moved = connection.execute(SQL["add_stream"], row)
    else:
        moved = connection.execute(SQL["move_stream"], (*row, before))
    if moved.rowcount != 1:
        raise StreamMovedError(stream.name)


def unknown_contacts(
    connection: sqlite3.Connection,
    campaign: int,
    contacts: Sequence[Contact],
    lookup: LookupResult | None = None,
) -> list[Contact]:
    """Return the contacts whose keys were never in the ledger; of equal keys the first one."""
    first: dict[str, Contact] = {}
    for contact in contacts:
        first.setdefault(contact.key, contact)
    find = known_keys if lookup is None else lookup.current_keys
    spelled = spelled_keys(connection, campaign, first)
    for key in find(connection, campaign, list(spelled)):
        first.pop(spelled[key], None)
    (any_pruned,) = connection.execute(SQL["any_pruned"], (campaign,)).fetchone()
    return _unpruned(connection, campaign, first) if any_pruned else list(first.values())


def known_keys(
    connection: sqlite3.Connection,
    campaign: int,
    keys: Sequence[str],
    *,
    staged_only: bool = False,
) -> frozenset[str]:
    """Return those of ``keys`` that contacts of the campaign have, or staged ones only."""
    found: list[str] = []
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        statement = many("known_keys", len(chunk))
        found += fetch_json(connection, statement, int(staged_only), campaign, *chunk)
    return frozenset(found)


def _unpruned(
    connection: sqlite3.Connection, campaign: int, contacts: dict[str, Contact]
) -> list[Contact]:
    """Return the contacts of whose keys the ledger does not have a hash."""
    spelled = spelled_keys(connection, campaign, contacts)
    by_hash = {key_hash(key): present for key, present in spelled.items()}
    for found in fetch_json(connection, SQL["pruned_keys"], campaign, json_list(by_hash)):
        contacts.pop(by_hash[found], None)
    return list(contacts.values())


def reached_people(
    connection: sqlite3.Connection, campaign: int, external_contact_ids: Iterable[str]
) -> frozenset[str]:
    """Return hashes of the people who got a message in this campaign, and whose send has ended."""
    spelled = spelled_people(connection, campaign, external_contact_ids)
    found = fetch_json(connection, SQL["reached_persons"], campaign, json_list(spelled))
    return frozenset(spelled[hash_] for hash_ in found)


def _respell_people(connection: sqlite3.Connection, contacts: Iterable[Contact]) -> None:
    """Give people who are known by the hash of an upper-case id alone the present hash.

    Claims, intents and caps then find them. The rows are staged: a look-up ahead that did not find
    the present hash among the merged rows stays true.
    """
    external_ids = (contact.external_contact_id for contact in contacts)
    respelled = respelled_people(connection, (id_ for id_ in external_ids if id_))
    if respelled:
        connection.execute(SQL["respell_people"], (orjson.dumps(respelled).decode(),))


def _mark_same_person(
    connection: sqlite3.Connection, campaign: int, claims: list[Claim], lookup: LookupResult | None
) -> list[Claim]:
    """Mark the claims whose person got a message in this campaign; the rules decide what follows.

    All others are checked again by the intent.
    """
    external_ids = {
        claim.id: claim.contact.external_contact_id
        for claim in claims
        if claim.contact.external_contact_id
    }
    if not external_ids:
        return claims
    reached = (
        lookup.reached if lookup else reached_people(connection, campaign, external_ids.values())
    )
    if not reached:
        return claims
    person_hashes = {id_: person_hash(external_id) for id_, external_id in external_ids.items()}
    return [
        replace(claim, block=SendBlock.SAME_PERSON)
        if person_hashes.get(claim.id) in reached
        else claim
        for claim in claims
    ]


def _reject(connection: sqlite3.Connection, campaign: int, batch: Batch, now: float) -> None:
    rows = [
        (campaign, row.file, row.line, row.reason, row.detail, row.raw, now)
        for row in batch.rejected
    ]
    _insert(connection, "add_rejected", rows)
    counts = Counter(row.reason for row in batch.rejected)
    _insert(connection, "count_rejected", [(campaign, *pair) for pair in counts.items()])


def _insert(connection: sqlite3.Connection, name: str, rows: Sequence[Sequence[Any]]) -> None:
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        values = [value for row in chunk for value in row]
        connection.execute(many(name, len(chunk), len(chunk[0])), values)
