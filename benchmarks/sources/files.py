"""A plain CSV file, to compare the others with."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sources.kind import COLUMNS, contact_rows


class File:
    """A file on the local disk; it is never away."""

    environment: Mapping[str, str] = {}
    breakable = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def fill(self, rows: int) -> None:
        """Write the file."""
        write_csv(self._path, rows)

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the path."""
        del breakable
        return {"source.path": self._path}


@contextmanager
def file(folder: Path) -> Iterator[File]:
    """Yield a file in a folder."""
    yield File(folder / "contacts.csv")


def write_csv(path: Path, rows: int) -> None:
    """Write rows into a CSV file."""
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(COLUMNS)
        writer.writerows(contact_rows(rows))
