"""The suppression list: a file of people who are never written to; it may change at any time."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from dispatcher.domain.contact import Contact
from dispatcher.ports import SourceError
from dispatcher.sources.suppression.list_file import ListFile, parse_list
from dispatcher.sources.suppression.list_text import ListContentError
from dispatcher.sources.suppression.listed_values import ListedValues
from dispatcher.sources.suppression.shapes import Shape

LOOK_SECONDS = 1.0
"""How often the file is looked at."""
REST_LOOKS = 60
"""Looks without a change after which a value that is gone from the file is gone from the list."""
MOST_LOST = 0.5
"""Share of the values that a change of the file may remove from the list."""

_Signature = tuple[int, int, int]
_BROKEN = (OSError, ListContentError)


class SuppressionList:
    """People by contact key, external contact id, conversation id or address.

    If the file becomes missing or unreadable, cannot be understood, loses more than half of its
    values, or is cut off, all values of the last good list stay in force, and what is new in the
    file is added where it can be read.
    """

    def __init__(
        self,
        path: Path,
        on_broken: Callable[[str], None],
        on_mended: Callable[[], None] = lambda: None,
        *,
        on_taken: Callable[[int], None] = lambda _: None,
        id_columns: Collection[str] = (),
        columns: Collection[str] = (),
    ) -> None:
        """Read the list.

        ``on_broken`` is called once with the reason when the last good list has to stay in force,
        ``on_mended`` when the file is good again, and ``on_taken`` with the number of values
        whenever a changed file counts as the last good list. ``id_columns`` are the names that the
        source's columns of ids and addresses have, ``columns`` those of the list's columns that
        the user chose; without them the columns are found by their names.

        Raises:
            SourceError: the file cannot be read, or is no list that can be trusted.

        """
        self._path = path
        self._on_broken = on_broken
        self._on_mended = on_mended
        self._on_taken = on_taken
        self._id_columns, self._columns = tuple(id_columns), tuple(columns)
        self._broken = False
        self._signature: _Signature | None
        try:
            self._signature, loaded = self._load()
        except _BROKEN as error:
            raise SourceError(
                f"suppression list {path}: {_reason(error)}; rules.suppression_file must name a "
                "file in UTF-8 with one value per line, or CSV with a header"
            ) from None
        self.about = loaded.about
        """How the file was read, for people."""
        self._latest = loaded.values
        # All values of good files since the last replacement, and beside them those of others.
        self._good = self._values = loaded.values
        self._problem = ""
        self._rested = REST_LOOKS

    def __len__(self) -> int:
        """Return the number of lines with a value."""
        return len(self._latest)

    @property
    def values(self) -> ListedValues:
        """The values that are in force."""
        return self._values

    @property
    def names_addresses(self) -> bool:
        """Whether a value may be an address: one of them is not a UUID."""
        return any(count for shape, count in self._values.shapes.items() if shape is not Shape.UUID)

    def matches(self, names: Iterable[str | None], addresses: Iterable[str | None] = ()) -> bool:
        """Return True if one of a contact's ids or addresses is on the list."""
        return self._values.matches(names, addresses)

    def matches_contact(self, contact: Contact) -> bool:
        """Return True if the contact's row has an id or address that is on the list."""
        return self._values.matches_contact(contact)

    async def watch(self) -> None:
        """Read the file again when it changes, in a thread, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:  # noqa: BLE001 - without looks nobody would be added
                self._keep_last_good(f"cannot be read: {type(error).__name__}")

    def look(self) -> None:
        """Read the list again if the file changed since the last look.

        Added values count at once. Removed ones count only when the file is good and has not
        changed for a minute, so that a half-written or damaged file removes nobody from the list.
        """
        try:
            if _signature(self._path) == self._signature:
                self._rested += 1
            else:
                self._read_again()
        except OSError as error:
            self._signature = None
            self._keep_last_good(_reason(error))
            return
        if self._rested == 1 and self._problem:
            self._keep_last_good(self._problem)
        elif self._rested and not self._problem:
            self._replace_when_rested()

    def _read_again(self) -> None:
        """Read a file that changed, and add its values; what is wrong with it may be passing."""
        self._rested = 0
        self._signature = _signature(self._path)
        try:
            self._signature, loaded = self._load()
        except ListContentError as error:
            self._problem = str(error)
            if error.readable is not None:
                self._values = self._values | error.readable
            return
        self._latest = loaded.values
        self._values = self._values | loaded.values
        self._problem = _problem(self._good, loaded.values)
        if not self._problem:
            self._good = self._good | loaded.values
            self._on_taken(len(self._good))

    def _replace_when_rested(self) -> None:
        """Put the values of the file in place of all others when they are proved."""
        has_rested = self._rested == REST_LOOKS
        if has_rested:
            self._good = self._values = self._latest
            self._on_taken(len(self._good))
        if self._broken and (has_rested or not self._good.share_missing_from(self._latest)):
            self._broken = False
            self._on_mended()

    def _keep_last_good(self, reason: str) -> None:
        if not self._broken:
            self._broken = True
            self._on_broken(reason)

    def _load(self) -> tuple[_Signature, ListFile]:
        signature = _signature(self._path)
        content = self._path.read_bytes()
        return signature, parse_list(content, self._id_columns, self._columns)


def _problem(good: ListedValues, values: ListedValues) -> str:
    """Return why values cannot replace the last good ones; empty if they can."""
    lost = good.share_missing_from(values)
    if lost > MOST_LOST:
        return f"has lost {lost:.0%} of its values"
    if lost and good.ends_complete and not values.ends_complete:
        return "has lost values and ends without the end of a line, so it may be incomplete"
    return ""


def _signature(path: Path) -> _Signature:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
