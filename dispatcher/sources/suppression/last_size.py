"""How many values each suppression list had at the last start of a run, in a file of their own."""

from contextlib import suppress
from pathlib import Path

import orjson

from dispatcher.ports import SourceError
from dispatcher.sources.suppression_list import MOST_LOST, SuppressionList

LEAST_VALUES = 10
"""A list that had fewer may become as short as it likes."""


def compare_size(sizes: Path, path: Path, people: SuppressionList) -> None:
    """Compare a list with its size at the last start, and remember the present one.

    Raises:
        SourceError: more than half of it is gone.

    """
    known = _read(sizes)
    name, before = str(path.resolve()), known.get(str(path.resolve()), 0)
    if before >= LEAST_VALUES and len(people) < before * MOST_LOST:
        raise SourceError(
            f"suppression list {path}: has {len(people):,} values, and had {before:,} at the last "
            f"start; restore it, or remove the file {sizes} if so many people are off it for good"
        )
    if before != len(people):
        with suppress(OSError):  # the next start compares with an older size
            _write(sizes, {**known, name: len(people)})


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
