"""Read-only view of a ledger in PostgreSQL for a dry run."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from dispatcher.domain.contact import Contact
from dispatcher.ledgers.codec import claim_of
from dispatcher.ledgers.passed_contacts import PassedContacts
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.older_ids import unknown_contacts
from dispatcher.ledgers.postgres.operator_connection import OperatorConnection
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_all, snapshot
from dispatcher.ledgers.postgres.totals import campaign_totals, streams
from dispatcher.ledgers.spellings import forms_of_people
from dispatcher.ports import Claim, Stream

_PAGE = 500


class PostgresDryRunView:
    """One campaign of a ledger, read-only. Without the campaign, or any ledger, it is empty.

    Use it with ``with``.

    Raises:
        LedgerError: the server does not answer, or its ledger is of another version.

    """

    def __init__(self, address: PostgresAddress, campaign: str) -> None:
        self._opened = OperatorConnection(address, read_only=True, may_be_empty=True)
        self._passed = PassedContacts()
        self._campaign: int | None = None
        if self._opened.has_ledger:
            with self._opened.errors() as connection:
                self._campaign = find_campaigns(connection, None).get(campaign)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, and remove the temporary file."""
        self._passed.close()
        self._opened.close()

    @property
    def in_doubt(self) -> int:
        """Number of contacts whose sends have an unknown outcome."""
        counts: dict[str, int] = dict(self._select("count_started"))
        return counts.get("sending", 0) + counts.get("in_doubt", 0)

    @property
    def has_contacts(self) -> bool:
        """Whether the campaign has had a contact, whatever became of it."""
        if self._campaign is None:
            return False
        with self._opened.errors() as connection, snapshot(connection):
            return campaign_totals(connection, self._campaign).admitted > 0

    def streams(self) -> Mapping[str, Stream]:
        """Return how far each stream was read, by fingerprint."""
        if self._campaign is None:
            return {}
        with self._opened.errors() as connection:
            return streams(connection, self._campaign)

    def take_new(self, contacts: Sequence[Contact]) -> Sequence[Contact]:
        """Return the contacts whose keys are not in the ledger and were not passed before."""
        if self._campaign is not None:
            with self._opened.errors() as connection:
                contacts = unknown_contacts(connection, self._campaign, contacts)
        return self._passed.new_contacts(contacts)

    def mark_reached(self, external_contact_id: str) -> bool:
        """Mark the person as reached.

        Return whether the person got a message in the campaign, or was passed before.
        """
        persons = forms_of_people([external_contact_id])
        if self._select("reached_persons", persons=list(persons)):
            return True
        return not self._passed.is_new_person(external_contact_id)

    def plan_message(self, external_contact_id: str, cap: int, since: float) -> bool:
        """Plan a message to a person; return False if the cap permits none."""
        sent = 0
        if self._opened.has_ledger:
            values = {"persons": list(forms_of_people([external_contact_id])), "since": since}
            with self._opened.errors() as connection:
                ((sent,),) = fetch_all(connection, QUESTIONS["count_messages"], values)
        return self._passed.plan_message(external_contact_id, cap - sent)

    def waiting(self) -> Iterator[Claim]:
        """Yield the contacts that a run would claim, without their messages.

        ``not_before`` of each is its due time.
        """
        ids = array("q", (row[0] for row in self._select("waiting_ids")))
        for start in range(0, len(ids), _PAGE):
            rows = self._select("waiting_contacts", ids=list(ids[start : start + _PAGE]))
            yield from (claim_of(list(row)) for row in rows)

    def _select(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement about the campaign; none if it is not there."""
        if self._campaign is None:
            return []
        with self._opened.errors() as connection:
            return fetch_all(connection, QUESTIONS[name], {"campaign": self._campaign, **values})
