"""How many values each suppression list had in the last run, in a file of their own."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from threading import Lock

import orjson

from dispatcher.ports import SourceError
from dispatcher.sources.suppression_list import MOST_LOST, SuppressionList

LEAST_VALUES = 10
"""A list that had fewer may become as short as it likes."""

_writing = Lock()
"""The lists of several campaigns are in one file, and change in threads."""


class LastSize:
    """The size that a campaign's list had when it was last taken over.

    Of one file with other ``columns`` the size is another one.
    """

    def __init__(
        self, sizes: Path, path: Path, campaign: str, columns: Collection[str] = ()
    ) -> None:
        self._sizes = sizes
        self._path = path
        self._name = " | ".join((campaign, str(path.resolve()), *sorted(columns)))

    def compare(self, suppression_list: SuppressionList) -> None:
        """Compare a list with it.

        Raises:
            SourceError: more than half of the list is gone.

        """
        before, now = _read(self._sizes).get(self._name, 0), len(suppression_list)
        if before >= LEAST_VALUES and now < before * MOST_LOST:
            raise SourceError(
                f"suppression list {self._path}: has {now:,} values, and had {before:,} "
                f"in the last run; restore it, or remove the file {self._sizes} if so many "
                "people are removed on purpose"
            )

    def remember(self, size: int) -> None:
        """Write the present size, if it is another one."""
        with _writing, suppress(OSError):  # the next start compares with an older size
            known = _read(self._sizes)
            if known.get(self._name) != size:
                _write(self._sizes, {**known, self._name: size})


def _read(sizes: Path) -> dict[str, int]:
    try:
        known = orjson.loads(sizes.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: size for name, size in known.items() if isinstance(size, int)}


def _write(sizes: Path, known: dict[str, int]) -> None:
    """Replace the file as a whole, so that a crash leaves the old one or the new one."""
    beside = sizes.with_name(f"{sizes.name}.new")
    beside.write_bytes(orjson.dumps(known, option=orjson.OPT_INDENT_2))
    beside.replace(sizes)
