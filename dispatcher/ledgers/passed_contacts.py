"""The keys and people that a dry run has passed, in a temporary file."""

import sqlite3
from collections.abc import Sequence
from functools import partial

from dispatcher.domain.contact import Contact
from dispatcher.ledgers.codec import person_hash
from dispatcher.ledgers.exclusive import transaction
from dispatcher.ledgers.statements import SQL

_CACHE = "PRAGMA cache_size = -16000"  # KiB: memory must not grow with the source


class PassedContacts:
    """A temporary SQLite file, so that duplicates are found in a source of any length."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        for setting in ("PRAGMA journal_mode = OFF", _CACHE):
            self._file.execute(setting).fetchone()
        for table in ("seen (key TEXT", "person (key TEXT", "planned (times INTEGER, key TEXT"):
            self._file.execute(f"CREATE TABLE {table} PRIMARY KEY) WITHOUT ROWID")

    def new_contacts(self, contacts: Sequence[Contact]) -> Sequence[Contact]:
        """Return the contacts whose keys were not passed before, and pass them."""
        with transaction(self._file, "BEGIN"):
            add = partial(self._file.execute, SQL["add_seen_key"])
            return [contact for contact in contacts if add((contact.key,)).rowcount]

    def is_new_person(self, external_contact_id: str) -> bool:
        """Return True if a person was not passed before, and pass it."""
        values = (person_hash(external_contact_id),)
        return self._file.execute(SQL["add_person"], values).rowcount > 0

    def plan_message(self, external_contact_id: str, most: int) -> bool:
        """Count a message to a person; return False if ``most`` were counted before."""
        values = (person_hash(external_contact_id), most)
        return most > 0 and self._file.execute(SQL["add_planned_message"], values).rowcount > 0

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
