"""What keeps a large ledger fast. A reader of the other modules may ignore it.

Two things are done, which only change how fast an answer is found:

- New rows are staged, and merged while the writer is idle (see `index_staging`).
- Contacts of a batch are looked up in threads before the writer needs the result. A key and a
  person are at random places of their indexes. If the index is not in memory, each look-up reads
  the disk; in the writer's thread it would delay every commit.

Only a merge adds merged rows while the ledger is open: an erased contact keeps its place, under a
key that no source has. So if a look-up did not find a key or a person among the merged rows, they
are not there as long as no merge follows.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dispatcher.domain.contact import Contact
from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import person_of
from dispatcher.ledgers.spellings import spelled_keys, spelled_people
from dispatcher.ledgers.statements import SQL, fetch_json, json_list
from dispatcher.ledgers.write import claims, index_staging
from dispatcher.ledgers.write.admission import LookupResult, known_keys
from dispatcher.ledgers.write.read_ahead import LookupThreads
from dispatcher.ports import Claim, Intent

MIN_FILE_BYTES = 256 << 20
"""A batch is not looked up before the admission if the file is smaller: it is in memory."""

MAX_ABSENT = 10_000
"""Contacts of which it is remembered that their people were not found."""


class LargeLedger:
    """Looks contacts up ahead of the writer, and merges staged rows in its idle moments.

    Errors of look-ups are not reported: the writer then looks up itself, and reports its own error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = LookupThreads(path)
        self._absent: dict[int, tuple[str, int]] = {}
        self.merges = 0
        """Merges counted since the ledger was opened. A merge is counted after its commit."""

    async def look_up(self, campaign: int, contacts: Sequence[Contact]) -> LookupResult | None:
        """Look up the keys and people of a batch before its admission.

        Return None if the ledger is small or cannot be read: the admission then looks itself.
        """
        try:
            is_large = self._path.stat().st_size >= MIN_FILE_BYTES
        except OSError:
            is_large = False
        if not is_large:
            return None
        merges = self.merges
        parts = await self._threads.run(contacts, partial(_look_up, campaign=campaign))
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        keys, people, reached = (frozenset[str]().union(*sets) for sets in zip(*found, strict=True))
        return LookupResult(merges, keys, people, reached)

    def remember_absent(self, admitted: Sequence[Claim], lookup: LookupResult | None) -> None:
        """Keep for their intents that the people of these claims were not found."""
        if lookup is None:
            return
        if len(self._absent) > MAX_ABSENT:
            self._absent.clear()  # contacts that never come to an intent
        for claim in admitted:
            person = claim.contact.external_contact_id
            if person and person_of(person) not in lookup.people:
                self._absent[claim.id] = (person, lookup.merges)

    def absent_after(self, intent: Intent) -> int | None:
        """Return after how many merges the person of an intent was not found, once.

        Return None if the person was not looked up.
        """
        person, merges = self._absent.pop(intent.id, (None, 0))
        return merges if person is not None and person == intent.external_contact_id else None

    async def blocks(self, ids: Sequence[int]) -> dict[int, SendBlock]:
        """Return what blocks sends to the people of claimed contacts.

        This also reads the pages that their intents write to. Blocks that cannot be read are left
        out.
        """
        parts = await self._threads.run(ids, claims.blocked_by)
        return {id_: block for part in parts if part for id_, block in part.items()}

    def merge(self, connection: sqlite3.Connection) -> bool:
        """Merge some staged rows; return whether there were enough of them to merge.

        Raises:
            sqlite3.Error: nothing was merged.

        """
        merged = index_staging.merge_staged(connection)
        self.merges += merged
        return merged

    async def close(self) -> None:
        """End the threads and their connections. More than once does no harm."""
        await self._threads.close()


def _look_up(
    connection: sqlite3.Connection, contacts: Sequence[Contact], campaign: int
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the keys, the people and the reached people of a `LookupResult`."""
    external_ids = (contact.external_contact_id for contact in contacts)
    persons = spelled_people(connection, campaign, (id_ for id_ in external_ids if id_))
    people = fetch_json(connection, SQL["lookup_people"], campaign, json_list(persons))
    keys = spelled_keys(connection, campaign, (contact.key for contact in contacts))
    return (
        known_keys(connection, campaign, list(keys)),
        frozenset(persons[person] for person, staged, _ in people if not staged),
        frozenset(persons[person] for person, _, ended in people if ended),
    )
