"""The suppression list: a file of people who are never written to; it may change at any time."""

import asyncio
import csv
from collections.abc import Callable, Iterable
from pathlib import Path

from dispatcher.ports import SourceError

LOOK_SECONDS = 1.0
"""How often the file is looked at."""

_Signature = tuple[int, int, int]
_BROKEN = (OSError, UnicodeDecodeError, csv.Error)


class SuppressionList:
    """People by contact key, external contact id, conversation id or address.

    The file has one value a line; only the first column counts, and a line that begins with "#"
    is a comment. Upper and lower case are the same. If the file becomes missing or unreadable,
    the last good list stays in force.
    """

    def __init__(self, path: Path, on_broken: Callable[[str], None]) -> None:
        """Read the list. ``on_broken`` is called once for each change that cannot be read.

        Raises:
            SourceError: the file cannot be read.

        """
        self._path = path
        self._on_broken = on_broken
        self._broken = False
        try:
            self._signature, self._values = _load(path)
        except _BROKEN as error:
            raise SourceError(
                f"suppression list {path}: {_reason(error)}; rules.suppression_file must name a "
                "file in UTF-8 with one value a line"
            ) from None
        self._is_stable = True

    def __len__(self) -> int:
        return len(self._values)

    def matches(self, names: Iterable[str | None]) -> bool:
        """Return True if one of ``names`` is on the list."""
        values = self._values
        return any(name.casefold() in values for name in names if name)

    async def watch(self) -> None:
        """Read the file again when it changes, in a thread, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Read the list again if the file changed since the last look.

        Added values count at once. Removed ones count only when the file has stopped changing, so
        that a half-written file does not remove anyone from the list.
        """
        try:
            if self._is_stable and _signature(self._path) == self._signature:
                self._broken = False
                return
            signature, values = _load(self._path)
        except _BROKEN as error:
            if not self._broken:
                self._broken = True
                self._on_broken(_reason(error))
            return
        self._broken = False
        self._is_stable = signature == self._signature
        self._signature = signature
        self._values = values if self._is_stable else self._values | values


def _load(path: Path) -> tuple[_Signature, frozenset[str]]:
    signature = _signature(path)
    with path.open(encoding="utf-8-sig") as lines:
        return signature, frozenset(value for line in lines if (value := _value(line)))


def _signature(path: Path) -> _Signature:
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
