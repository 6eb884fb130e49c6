"""Lineage into an object store: one object a range, each written once."""

import asyncio
import io
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from dispatcher.drivers.errors import DriverError
from dispatcher.drivers.object_store import open_store, split_address, status_of
from dispatcher.ports.sink import LineageRange, SinkError
from dispatcher.sinks.lineage_formats import write_rows

CHECK_NAME = "_dispatcher_check"
"""The object of a check; programs that read a folder pass over names with this first letter."""

_SAFE = re.compile(r"[^A-Za-z0-9]+")
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Where objects go: a bucket and a prefix, such as ``s3://exports/lineage/``.

    ``config`` is the library's own, for example ``endpoint`` and ``region``.
    """

    url: str
    format: Literal["parquet", "jsonl"] = "parquet"
    config: Mapping[str, str] = field(default_factory=dict)
    allow_http: bool = False


class ObjectTarget:
    """Writes each range as an object whose name is that of the range, if there is none yet.

    Readers need no lock: an object is there as a whole, and never changes.

    Raises:
        SinkError: a package is not installed, or the URL is none.

    """

    def __init__(self, name: str, place: ObjectPlace) -> None:
        needed = ("obstore", "pyarrow") if place.format == "parquet" else ("obstore",)
        for package in needed:
            if find_spec(package) is None:
                extra = {"obstore": "objects", "pyarrow": "parquet"}[package]
                raise SinkError(
                    f"sink {name}: the package {package} is missing: "
                    f"pip install 'dispatcher[{extra}]'"
                )
        self._name = name
        self._place = place
        self._store = self._open()

    async def write(self, lineage: LineageRange) -> None:
        """Write the object of a range, unless it exists.

        Raises:
            SinkError: the store is away or refuses.

        """
        if not lineage.rows:
            return
        out = io.BytesIO()
        write_rows(self._place.format, lineage.rows, out)
        await self._put(self.key(lineage), out.getvalue())

    async def check(self) -> str:
        """Return what is there, in words; write an empty object and delete it.

        Raises:
            SinkError: the store is away or refuses.

        """
        import obstore  # noqa: PLC0415 - an optional extra

        def count() -> int:
            return sum(len(page) for page in obstore.list(self._store))

        try:
            number = await asyncio.to_thread(count)
        except Exception as error:  # noqa: BLE001 - the library's errors share no base class
            raise self._error(error) from None
        await self._put(CHECK_NAME, b"")
        with suppress(Exception):  # the permission to delete is not needed
            await obstore.delete_async(self._store, CHECK_NAME)
        return f"{number:,} objects in {self._place.url}"

    async def close(self) -> None:
        """Do nothing: the store has no connection of its own."""

    def key(self, lineage: LineageRange) -> str:
        """Return the name of a range's object; names are in the order of the ranges."""
        first, last = (_padded(cursor) for cursor in (lineage.first, lineage.last))
        return f"{lineage.part}-{lineage.token}-{first}-{last}.{self._place.format}"

    async def _put(self, key: str, data: bytes) -> None:
        import obstore  # noqa: PLC0415 - an optional extra
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415 - as above

        try:
            await obstore.put_async(self._store, key, data, mode="create")
        except AlreadyExistsError:
            return
        except Exception as error:  # noqa: BLE001 - the library's errors share no base class
            raise self._error(error) from None

    def _error(self, error: Exception) -> SinkError:
        """Return the error in our words: the library's have addresses that may be signed."""
        status = status_of(error)
        what = f"answers {status}" if status else "does not answer"
        hint = "check that the bucket exists, and that the credentials may create objects in it"
        return SinkError(f"sink {self._name}: {self._place.url}: the store {what}; {hint}")

    def _open(self) -> Any:
        place = self._place
        try:
            root, prefix = split_address(place.url)
            return open_store(root, place.config, allow_http=place.allow_http, prefix=prefix)
        except DriverError as error:
            raise SinkError(f"sink {self._name}: url {error}") from None


def _padded(cursor: str) -> str:
    """Return a cursor as a part of a name that sorts as the cursors do."""
    if " " not in cursor and "-" in cursor:  # of a database: era, transaction, id
        era, *numbers = cursor.split("-")
        return "-".join([era, *(number.zfill(_DIGITS) for number in numbers)])
    number = cursor.split(".", maxsplit=1)[0] or "0"
    rest = _SAFE.sub("-", cursor[len(cursor.split(".", maxsplit=1)[0]) :])
    return number.zfill(_DIGITS) + rest
