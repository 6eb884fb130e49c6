"""Whether a suppression list can be about the contacts of a campaign."""

from collections.abc import Callable, Iterable
from contextlib import aclosing

from dispatcher.domain.contact import Contact
from dispatcher.ports import Source
from dispatcher.sources.suppression.shapes import shapes_of
from dispatcher.sources.suppression_list import SuppressionList

MOST_CONTACTS = 10_000
"""How many contacts of a source are compared with the list."""


class ListFit:
    """Proves that a list fits: one of a contact's identifiers has the shape of a listed value.

    A list without values proves nothing and keeps nobody waiting; it is judged when a change of
    the file brings values. ``on_unproved`` is called once, with the first identifiers that prove
    nothing.
    """

    def __init__(self, people: SuppressionList, on_unproved: Callable[[], None]) -> None:
        self._people = people
        self._on_unproved = on_unproved
        self._is_reported = False
        self.is_proved = False

    @property
    def is_empty(self) -> bool:
        """Return True while the list has no values."""
        return not self._people.values.shapes

    def offer(self, contact: Contact) -> bool:
        """Compare the identifiers of a contact's row; return True if the list is proved to fit."""
        return self._compare(
            (contact.key, contact.conversation_id, contact.external_contact_id, contact.address)
        )

    def is_unproved(self, identifiers: Iterable[str | None]) -> bool:
        """Return True if neither these identifiers nor earlier ones prove that the list fits."""
        if self.is_proved or self.is_empty or self._compare(identifiers):
            return False
        if not self._is_reported:
            self._is_reported = True
            self._on_unproved()
        return True

    def _compare(self, identifiers: Iterable[str | None]) -> bool:
        shapes = self._people.values.shapes
        self.is_proved = self.is_proved or not shapes.keys().isdisjoint(shapes_of(identifiers))
        return self.is_proved


async def compare_source(source: Source, fit: ListFit) -> int:
    """Offer the first contacts of a source, until one proves the fit; return how many there were.

    Raises:
        SourceError: the source cannot be read.

    """
    compared = 0
    async with aclosing(source.batches({})) as batches:
        async for batch in batches:
            compared += len(batch.contacts)
            if any(map(fit.offer, batch.contacts)) or compared >= MOST_CONTACTS:
                break
    return compared
