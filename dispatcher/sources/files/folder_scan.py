"""Which files of a watched folder are complete."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

_LEFT_ALONE = (".tmp", ".part", ".partial", ".crdownload")
_OLD_SECONDS = 60.0
"""A file last changed that long ago is complete at first sight, even if clocks differ a bit."""


@dataclass(slots=True)
class _Sighting:
    signature: tuple[int, int, int]
    since: float
    taken: bool = False


class FolderScan:
    """Remembers what a folder held at the last look.

    A file is complete when it was seen under a temporary name before and has been renamed,
    when it has not changed for ``stable_seconds`` of watching, or when it is a minute old.
    Names that begin with a dot or end in .tmp, .part, .partial or .crdownload are temporary.
    """

    def __init__(self, stable_seconds: float) -> None:
        self._stable_seconds = stable_seconds
        self._sightings: dict[str, _Sighting] = {}
        self._unfinished: set[tuple[int, int]] = set()

    @property
    def pending(self) -> bool:
        """Whether files were seen that are not known to be complete."""
        return not all(sighting.taken for sighting in self._sightings.values())

    def look(self, entries: Mapping[str, os.stat_result], watched: float, now: float) -> list[str]:
        """Return the names that are complete and were not returned before, sorted.

        ``watched`` is the time by a clock that never jumps, ``now`` seconds since the epoch.
        """
        seen = {name: stat for name, stat in entries.items() if not _is_temporary(name)}
        self._sightings = {name: self._sighting(name, stat, watched) for name, stat in seen.items()}
        ready = [
            name for name, stat in sorted(seen.items()) if self._ready(name, stat, watched, now)
        ]
        for name in ready:
            self._sightings[name].taken = True
        self._unfinished = {_inode(entries[name]) for name in entries.keys() - seen.keys()}
        return ready

    def _sighting(self, name: str, stat: os.stat_result, watched: float) -> _Sighting:
        signature = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        before = self._sightings.get(name)
        if before is not None and before.signature == signature:
            return before
        return _Sighting(signature, watched)

    def _ready(self, name: str, stat: os.stat_result, watched: float, now: float) -> bool:
        sighting = self._sightings[name]
        return not sighting.taken and (
            _inode(stat) in self._unfinished
            or watched - sighting.since >= self._stable_seconds
            or now - stat.st_mtime >= _OLD_SECONDS
        )


def _inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _is_temporary(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(_LEFT_ALONE)
