"""Whether a suppression list can be about the contacts of a campaign."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing

from dispatcher.domain.contact import Contact
from dispatcher.ports import Source
from dispatcher.sources.suppression.shapes import shapes_of
from dispatcher.sources.suppression_list import SuppressionList

MOST_CONTACTS = 10_000
"""How many contacts of a source are compared with the list."""
LEAST_CONTACTS = 20
"""With fewer compared contacts any share of them may be on the list."""

MISFIT = (
    "no value looks like an id or an address of the contacts; correct the list, name its "
    "columns by rules.suppression_columns, or set rules.suppression_any_shape = true if the "
    "list is correct"
)
"""What is wrong with a list that is not proved to fit."""


class ListFit:
    """Proves that a list fits: one of a contact's identifiers has the shape of a listed value.

    A list without values proves nothing and keeps nobody waiting; it is judged when a change of
    the file brings values. ``on_unproved`` is called once, with the first identifiers that prove
    nothing.
    """

    def __init__(self, suppression_list: SuppressionList, on_unproved: Callable[[], None]) -> None:
        self._people = suppression_list
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


class Comparison:
    """Compares the first contacts of a source with a list, before any is decided for good.

    A list that has nearly all of them, more than ``max_share``, is probably another file, such as
    the source itself.
    """

    def __init__(self, suppression_list: SuppressionList, fit: ListFit, max_share: float) -> None:
        self._people = suppression_list
        self._fit = fit
        self._max_share = max_share
        self._compared = self._matched = 0

    def is_decided(self) -> bool:
        """Return True if further contacts change nothing."""
        if self._fit.is_empty or self._compared >= MOST_CONTACTS:
            return True
        others = self._compared - self._matched
        return self._fit.is_proved and others >= MOST_CONTACTS * (1 - self._max_share)

    def add(self, contacts: Sequence[Contact]) -> None:
        """Compare further contacts, unless all is decided."""
        if self.is_decided():
            return
        for contact in contacts[: MOST_CONTACTS - self._compared]:
            self._compared += 1
            self._matched += self._people.matches_contact(contact)
            if not self._fit.is_proved:
                self._fit.offer(contact)

    def objection(self) -> str:
        """Return why a run must not start with the list; empty if it may."""
        if not self._compared:
            return ""
        if not self._fit.is_proved:
            return MISFIT
        if self._compared >= LEAST_CONTACTS and self._matched > self._max_share * self._compared:
            return (
                f"matches {self._matched:,} of the first {self._compared:,} contacts of the "
                "source, which would be skipped permanently; correct rules.suppression_file or "
                "rules.suppression_columns, or set rules.suppression_max_share = 1 if the list "
                "is correct"
            )
        return ""


async def compare_source(source: Source, comparison: Comparison) -> str:
    """Compare the first contacts of a source; return why a run must not start, empty if it may.

    Raises:
        SourceError: the source cannot be read.

    """
    if not comparison.is_decided():
        async with aclosing(source.batches({})) as batches:
            async for batch in batches:
                comparison.add(batch.contacts)
                if comparison.is_decided():
                    break
    return comparison.objection()
