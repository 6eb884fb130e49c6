"""Finds the complete files of a watched folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

_TEMPORARY_SUFFIXES = (".tmp", ".part", ".partial", ".crdownload")
_OLD_SECONDS = 60.0
"""A file unchanged for so long is complete at the first scan, even if clocks differ a little."""


UNFINISHED_SECONDS = 900.0
"""A file that is written for longer is no usual upload: its writer may hang."""


@dataclass(slots=True)
class _Sighting:
    signature: tuple[int, int, int]
    since: float
    first: float
    taken: bool = False


class FolderScan:
    """Remembers the files of a folder from one scan to the next.

    A file is complete if it had a temporary name at the last scan and was renamed since, if it
    has not changed for ``stable_seconds`` of watching, or if its last change is a minute ago.
    Names that begin with a dot or end in .tmp, .part, .partial or .crdownload are temporary.
    """

    def __init__(self, stable_seconds: float) -> None:
        self._stable_seconds = stable_seconds
        self._sightings: dict[str, _Sighting] = {}
        self._unfinished: set[tuple[int, int]] = set()

    @property
    def pending(self) -> bool:
        """True if the last scan found files that are not known to be complete."""
        return any(not sighting.taken for sighting in self._sightings.values())

    def incomplete(self, watched: float) -> list[str]:
        """Return the names that have not become complete for `UNFINISHED_SECONDS`, sorted."""
        return sorted(
            name
            for name, sighting in self._sightings.items()
            if not sighting.taken and watched - sighting.first >= UNFINISHED_SECONDS
        )

    def look(self, entries: Mapping[str, os.stat_result], watched: float, now: float) -> list[str]:
        """Return the names that are complete and were not returned before, sorted.

        ``watched`` is the time of a monotonic clock, ``now`` is seconds since the epoch.
        """
        files = {name: stat for name, stat in entries.items() if not is_temporary(name)}
        self._sightings = {
            name: self._sighting(name, stat, watched) for name, stat in files.items()
        }
        ready = [
            name
            for name, stat in sorted(files.items())
            if self._is_complete(name, stat, watched, now)
        ]
        for name in ready:
            self._sightings[name].taken = True
        self._unfinished = {_inode(entries[name]) for name in entries.keys() - files.keys()}
        return ready

    def _sighting(self, name: str, stat: os.stat_result, watched: float) -> _Sighting:
        signature = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        before = self._sightings.get(name)
        if before is not None and before.signature == signature:
            return before
        first = watched if before is None or before.taken else before.first
        return _Sighting(signature, watched, first)

    def _is_complete(self, name: str, stat: os.stat_result, watched: float, now: float) -> bool:
        sighting = self._sightings[name]
        return not sighting.taken and (
            _inode(stat) in self._unfinished
            or watched - sighting.since >= self._stable_seconds
            or now - stat.st_mtime >= _OLD_SECONDS
        )


def _inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def is_temporary(name: str) -> bool:
    """Return True for a name under which a file is written and not yet complete."""
    return name.startswith(".") or name.lower().endswith(_TEMPORARY_SUFFIXES)
