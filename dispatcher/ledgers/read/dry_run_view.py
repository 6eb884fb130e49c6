"""What a ledger knows before a run: for a plan, which changes nothing in it."""

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import orjson

from dispatcher.domain.contact import Contact
from dispatcher.ledgers import totals
from dispatcher.ledgers.codec import claim_of, person_of
from dispatcher.ledgers.errors import translate_error
from dispatcher.ledgers.read.reader import open_for_reading
from dispatcher.ledgers.statements import SQL, many
from dispatcher.ledgers.write.admission import reached_people, unknown_keys
from dispatcher.ports import Claim, Position

_PAGE = 500
_CACHE = "PRAGMA cache_size = -16000"  # KiB, negative: memory must not grow with the source


class DryRunView:
    """One campaign of a ledger, read-only; all of it is unknown where there is no ledger yet.

    Use it with ``with``. Keys that were given to `fresh` are kept in a temporary file of
    SQLite's own, so that duplicates are known however long the source is.

    Raises:
        LedgerError: the file is there and cannot be read.

    """

    def __init__(self, path: str | Path, campaign: str) -> None:
        self._path = Path(path)
        self._ledger = open_for_reading(self._path) if self._path.exists() else None
        self._seen = sqlite3.connect("", isolation_level=None)
        try:
            self._campaign = self._find(campaign)
            for setting in ("PRAGMA journal_mode = OFF", _CACHE):
                self._seen.execute(setting).fetchone()
            for table in ("seen", "person"):
                self._seen.execute(f"CREATE TABLE {table} (key TEXT PRIMARY KEY) WITHOUT ROWID")
        except sqlite3.Error as error:
            self.close()
            raise translate_error(self._path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; the temporary one is gone then."""
        self._seen.close()
        if self._ledger is not None:
            self._ledger.close()

    @property
    def in_doubt(self) -> int:
        """Contacts whose sends have no known end."""
        if self._ledger is None or self._campaign is None:
            return 0
        with self._explained():
            (busy,) = self._ledger.execute(SQL["busy"], (self._campaign,)).fetchone()
        counts: dict[str, int] = orjson.loads(busy)
        return counts.get("sending", 0) + counts.get("in_doubt", 0)

    def positions(self) -> Mapping[str, Position]:
        """Return how far each file was read, by fingerprint."""
        if self._ledger is None or self._campaign is None:
            return {}
        with self._explained():
            return totals.positions(self._ledger, self._campaign)

    def fresh(self, contacts: Sequence[Contact]) -> Sequence[Contact]:
        """Leave out those whose keys are in the ledger, or were given before."""
        with self._explained():
            if self._ledger is not None and self._campaign is not None:
                contacts = unknown_keys(self._ledger, self._campaign, contacts)
            return self._first(contacts)

    def reached(self, external_contact_id: str) -> bool:
        """Tell whether the person was written to in the campaign, or was asked about before."""
        person = person_of(external_contact_id)
        with self._explained():
            ledger, campaign = self._ledger, self._campaign
            if ledger and campaign is not None and reached_people(ledger, campaign, [person]):
                return True
            return not self._seen.execute(SQL["add_person"], (person,)).rowcount

    def waiting(self) -> Iterator[Claim]:
        """Yield the contacts that a run would take up, without their messages.

        Their due times stand as ``not_before``.
        """
        if self._ledger is None or self._campaign is None:
            return
        with self._explained():
            found = self._ledger.execute(SQL["waiting_ids"], (self._campaign,))
            ids = array("q", (row[0] for row in found))  # no read stays open while states are asked
        for start in range(0, len(ids), _PAGE):
            page = orjson.dumps(ids[start : start + _PAGE].tolist()).decode()
            with self._explained():
                (rows,) = self._ledger.execute(SQL["waiting_contacts"], (page,)).fetchone()
            for row in orjson.loads(rows):
                yield claim_of(row)

    def _first(self, contacts: Sequence[Contact]) -> list[Contact]:
        by_key: dict[str, Contact] = {}
        for contact in contacts:
            by_key.setdefault(contact.key, contact)
        keys = list(by_key)
        new: set[str] = set()
        self._seen.execute("BEGIN")
        for start in range(0, len(keys), _PAGE):
            chunk = keys[start : start + _PAGE]
            new.update(row[0] for row in self._seen.execute(_add(len(chunk)), chunk))
        self._seen.execute("COMMIT")
        return [contact for key, contact in by_key.items() if key in new]

    def _find(self, campaign: str) -> int | None:
        if self._ledger is None:
            return None
        row = self._ledger.execute(SQL["campaign_id"], (campaign,)).fetchone()
        return None if row is None else int(row[0])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate_error(self._path, error) from None


def _add(count: int) -> str:
    return many("add_seen_keys", count, 1)
