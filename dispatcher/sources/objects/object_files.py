"""The objects that a source reads, as a set of files."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any, BinaryIO, cast

from dispatcher.drivers.errors import DriverError
from dispatcher.drivers.object_store import open_store
from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait
from dispatcher.sources.files.seekable_content import SeekableContent
from dispatcher.sources.objects.patterns import ObjectAddress, parse_address
from dispatcher.sources.objects.range_file import RangeFile
from dispatcher.sources.objects.store_errors import call_store


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How a store is reached: the library's configuration, for example ``endpoint`` and ``region``.

    ``allow_http`` permits requests without TLS.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    allow_http: bool = False


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, as the store lists it."""

    key: str
    size: int
    etag: str | None
    modified: str

    def fingerprint(self, name: str) -> str:
        """Return what identifies this version at its address."""
        version = self.etag or self.modified
        return hashlib.sha256(f"{name}\0{self.size}\0{version}".encode()).hexdigest()


class ObjectContent(SeekableContent):
    """One version of an object; a read of another version raises `ChangedError`."""

    def _reading(self) -> AbstractContextManager[None]:
        return nullcontext()  # each range is of the version that was opened, or is refused


class ObjectFiles:
    """The objects of an address.

    ``away`` waits while the store is away.

    Raises:
        SourceError: the address is none, or the package that reads objects is not installed.

    """

    def __init__(self, url: str, options: StoreOptions, away: AwayWait) -> None:
        self._address: ObjectAddress = parse_address(url)
        self.away = away
        if find_spec("obstore") is None:
            raise SourceError(
                f"{url}: objects need the package obstore: pip install 'dispatcher[objects]'"
            )
        self._store = _open_store(self._address.root, options)
        self._versions: dict[str, ObjectVersion] = {}

    def paths(self) -> list[str]:
        """Return the addresses of the objects that exist now, sorted.

        Raises:
            SourceError: there is none, or the store does not permit to list them.

        """
        self._versions = {self._address.name(one.key): one for one in self.versions()}
        if not self._versions:
            raise SourceError(
                f"{self._address.name(self._address.pattern)}: no object matches; check source.path"
            )
        return sorted(self._versions)

    def versions(self) -> list[ObjectVersion]:
        """Return the present versions of all objects that are meant; empty if there are none."""
        address = self._address
        if not address.has_magic:
            found = call_store(address.name(address.pattern), self.away, self._head)
            return [found]
        name = address.name(address.folder)
        return call_store(name, self.away, lambda: list(self._listed()))

    def open(self, path: str) -> ObjectContent:
        """Open the version of an object that was listed last."""
        return self.open_version(path, self._versions[path])

    def open_version(self, path: str, version: ObjectVersion) -> ObjectContent:
        """Open one version; nothing is fetched yet."""
        file = RangeFile(version.size, partial(self._read_range, path, version))
        return ObjectContent(path, version.fingerprint(path), cast("BinaryIO", file))

    def was_renamed(self, path: str) -> bool:
        """Return False: objects are not renamed."""
        del path
        return False

    def name(self, version: ObjectVersion) -> str:
        """Return the address of an object."""
        return self._address.name(version.key)

    def _head(self) -> ObjectVersion:
        import obstore  # noqa: PLC0415 - an optional extra

        return _version(obstore.head(self._store, self._address.pattern))

    def _listed(self) -> Iterator[ObjectVersion]:
        import obstore  # noqa: PLC0415 - as above

        for page in obstore.list(self._store, self._address.folder or None):
            for meta in page:
                if meta["size"] and self._address.matches(meta["path"]):
                    yield _version(meta)

    def _read_range(self, name: str, version: ObjectVersion, start: int, end: int) -> bytes:
        import obstore  # noqa: PLC0415 - as above

        options: Any = {"range": (start, end)}
        if version.etag is not None:
            options["if_match"] = version.etag

        def read() -> bytes:
            return bytes(obstore.get(self._store, version.key, options=options).bytes())

        return call_store(name, self.away, read)


def _version(meta: Any) -> ObjectVersion:
    return ObjectVersion(
        meta["path"], meta["size"], meta["e_tag"], meta["last_modified"].isoformat()
    )


def _open_store(root: str, options: StoreOptions) -> Any:
    try:
        return open_store(root, options.config, allow_http=options.allow_http)
    except DriverError as error:
        raise SourceError(f"{error}; check source.path and [source.objects]") from None
