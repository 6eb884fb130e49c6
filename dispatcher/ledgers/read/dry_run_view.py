"""Read-only view of a ledger for a dry run."""

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from dispatcher.domain.contact import Contact
from dispatcher.ledgers import totals
from dispatcher.ledgers.campaigns import campaign_ids
from dispatcher.ledgers.codec import claim_of
from dispatcher.ledgers.errors import translated_errors
from dispatcher.ledgers.passed_contacts import PassedContacts
from dispatcher.ledgers.read.reader import open_for_reading
from dispatcher.ledgers.spellings import forms_of_people
from dispatcher.ledgers.statements import SQL, fetch_json, json_list
from dispatcher.ledgers.write.admission import reached_people, unknown_contacts
from dispatcher.ports import Claim, Stream

_PAGE = 500


class _StoredCampaign(NamedTuple):
    """A campaign that the ledger has."""

    connection: sqlite3.Connection
    id: int


class DryRunView:
    """One campaign of a ledger, read-only. Without a ledger or campaign, the view is empty.

    Use it with ``with``. A temporary SQLite file holds the keys that were passed to `take_new`, so
    that duplicates are found in a source of any length.

    Raises:
        LedgerError: the file exists and cannot be read.

    """

    def __init__(self, path: str | Path, campaign: str) -> None:
        self._path = Path(path)
        self._ledger = open_for_reading(self._path) if self._path.exists() else None
        self._passed = PassedContacts()
        self._stored: _StoredCampaign | None = None
        try:
            with translated_errors(self._path):
                self._open(campaign)
        except BaseException:
            self.close()
            raise

    def _open(self, campaign: str) -> None:
        if self._ledger is not None:
            id_ = campaign_ids(self._ledger).get(campaign)
            self._stored = None if id_ is None else _StoredCampaign(self._ledger, id_)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger, and remove the temporary file."""
        self._passed.close()
        if self._ledger is not None:
            self._ledger.close()

    @property
    def in_doubt(self) -> int:
        """Number of contacts whose sends have an unknown outcome."""
        if self._stored is None:
            return 0
        with translated_errors(self._path):
            counts = totals.count_started(*self._stored)
        return counts.get("sending", 0) + counts.get("in_doubt", 0)

    @property
    def has_contacts(self) -> bool:
        """Whether the campaign has had a contact, whatever became of it."""
        if self._stored is None:
            return False
        with translated_errors(self._path):
            return totals.campaign_totals(*self._stored).admitted > 0

    def streams(self) -> Mapping[str, Stream]:
        """Return how far each stream was read, by fingerprint."""
        if self._stored is None:
            return {}
        with translated_errors(self._path):
            return totals.streams(*self._stored)

    def take_new(self, contacts: Sequence[Contact]) -> Sequence[Contact]:
        """Return the contacts whose keys are not in the ledger and were not passed before."""
        with translated_errors(self._path):
            if self._stored is not None:
                contacts = unknown_contacts(*self._stored, contacts)
            return self._passed.new_contacts(contacts)

    def mark_reached(self, external_contact_id: str) -> bool:
        """Mark the person as reached.

        Return whether the person got a message in the campaign, or was passed before.
        """
        with translated_errors(self._path):
            if self._stored is not None and reached_people(*self._stored, [external_contact_id]):
                return True
            return not self._passed.is_new_person(external_contact_id)

    def plan_message(self, external_contact_id: str, cap: int, since: float) -> bool:
        """Plan a message to a person; return False if the cap permits none."""
        sent = 0
        if self._ledger is not None:
            hashes = json_list(forms_of_people([external_contact_id]))
            with translated_errors(self._path):
                values = hashes, since
                (sent,) = self._ledger.execute(SQL["count_messages"], values).fetchone()
        return self._passed.plan_message(external_contact_id, cap - sent)

    def waiting(self) -> Iterator[Claim]:
        """Yield the contacts that a run would claim, without their messages.

        ``not_before`` of each is its due time.
        """
        if self._stored is None:
            return
        connection, campaign = self._stored
        with translated_errors(self._path):
            # all ids at once: no read stays open while the caller asks for states
            ids = array(
                "q", (row[0] for row in connection.execute(SQL["waiting_ids"], (campaign,)))
            )
        for start in range(0, len(ids), _PAGE):
            page = json_list(ids[start : start + _PAGE])
            with translated_errors(self._path):
                rows = fetch_json(connection, SQL["waiting_contacts"], page)
            yield from map(claim_of, rows)
