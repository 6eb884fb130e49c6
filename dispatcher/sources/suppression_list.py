"""The suppression list: people who are never written to, in a file that may change at any time."""

import asyncio
import csv
from collections.abc import Callable, Iterable
from pathlib import Path

from dispatcher.ports import SourceError

LOOK_SECONDS = 1.0
"""How often the file is looked at."""

_Mark = tuple[int, int, int]
_BROKEN = (OSError, UnicodeDecodeError, csv.Error)


class SuppressionList:
    """People by name: a contact key, an external contact id, a conversation id or an address.

    The file has one a line; only the first column counts, and a line that begins with "#" is a
    comment. Upper and lower case are the same. A file that is gone or unreadable leaves the last
    good list in force.
    """

    def __init__(self, path: Path, on_broken: Callable[[str], None]) -> None:
        """Read the list; ``on_broken`` is told once each time when a change cannot be read.

        Raises:
            SourceError: the file cannot be read.

        """
        self._path = path
        self._on_broken = on_broken
        self._broken = False
        try:
            self._mark, self._values = _load(path)
        except _BROKEN as error:
            raise SourceError(
                f"suppression list {path}: {_reason(error)}; rules.suppression_file must name a "
                "file in UTF-8 with one value a line"
            ) from None
        self._settled = True

    def __len__(self) -> int:
        return len(self._values)

    def holds(self, names: Iterable[str | None]) -> bool:
        """Tell whether one of ``names`` is on the list."""
        values = self._values
        return any(name.casefold() in values for name in names if name)

    async def watch(self) -> None:
        """Follow the file, away from the event loop, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Read the list anew if the file changed since the last look.

        What is new on it counts at once, what is gone from it only when the file rests: one that
        is half written frees nobody.
        """
        try:
            if self._settled and _mark(self._path) == self._mark:
                self._broken = False
                return
            mark, values = _load(self._path)
        except _BROKEN as error:
            self._tell(_reason(error))
            return
        self._broken = False
        self._settled = mark == self._mark
        self._mark = mark
        self._values = values if self._settled else self._values | values

    def _tell(self, reason: str) -> None:
        if not self._broken:
            self._broken = True
            self._on_broken(reason)


def _load(path: Path) -> tuple[_Mark, frozenset[str]]:
    mark = _mark(path)
    with path.open(encoding="utf-8-sig") as lines:
        return mark, frozenset(value for line in lines if (value := _value(line)))


def _mark(path: Path) -> _Mark:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _value(line: str) -> str:
    line = line.strip()
    if line.startswith("#"):
        return ""
    first = next(csv.reader([line]), [""])[0] if '"' in line else line.partition(",")[0]
    return first.strip().casefold()


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not written in UTF-8"
    return getattr(error, "strerror", None) or str(error)
