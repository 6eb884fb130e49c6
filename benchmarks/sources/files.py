"""A file on the local disk, to compare the others with."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.sources.kind import COLUMNS, Kind, contact_rows

GROUP_ROWS = 10_000
"""Rows of one row group of a Parquet file."""


class File:
    """A file on the local disk; it is never away."""

    environment: Mapping[str, str] = {}
    breakable = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def fill(self, rows: int) -> None:
        """Write the file."""
        write_file(self._path, rows)

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the path."""
        del breakable
        return {"source.path": self._path}


@contextmanager
def _file(folder: Path, *, name: str) -> Iterator[File]:
    yield File(folder / name)


plain: Kind = partial(_file, name="contacts.csv")
parquet: Kind = partial(_file, name="contacts.parquet")


def write_file(path: Path, rows: int) -> None:
    """Write rows into a file; its name says in which format."""
    if path.suffix == ".parquet":
        _write_parquet(path, rows)
        return
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(COLUMNS)
        writer.writerows(contact_rows(rows))


def _write_parquet(path: Path, rows: int) -> None:
    types = [pa.int64(), *[pa.string()] * (len(COLUMNS) - 1)]
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    given = contact_rows(rows)
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(given, GROUP_ROWS)):
            columns = zip(*group, strict=True)
            writer.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True)), schema=schema))
