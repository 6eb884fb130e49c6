"""A file as an object of S3, or of an HTTP server: CSV, plain and compressed, and Parquet."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.sources.breakable_port import BreakablePort
from benchmarks.sources.files import write_file
from benchmarks.sources.kind import Kind
from tests.support.servers.s3 import IDENTITY, REGION, Bucket, PublicBucket, s3


class Objects:
    """One object of a bucket."""

    environment: Mapping[str, str] = IDENTITY

    def __init__(self, bucket: Bucket, folder: Path, name: str) -> None:
        self._bucket, self._folder, self._name = bucket, folder, name
        self.breakable = BreakablePort(urlsplit(bucket.url).port or 0)

    def fill(self, rows: int) -> None:
        """Write the object."""
        path = self._folder / self._name
        write_file(path, rows)
        self._bucket.put(self._name, path.read_bytes())

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the address and where the server is."""
        url = self.breakable.url if breakable else self._bucket.url
        return {
            "source.kind": "objects",
            "source.path": f"{self._bucket.address}/{self._name}",
            "source.objects.endpoint": url,
            "source.objects.region": REGION,
            "source.objects.allow_http": "true",
        }


class WebObject(Objects):
    """The same object, read by its address on an HTTP server."""

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the address."""
        url = self.breakable.url if breakable else self._bucket.url
        return {
            "source.kind": "objects",
            "source.path": f"{url}/{self._bucket.name}/{self._name}",
            "source.objects.allow_http": "true",
        }


@contextmanager
def _objects(folder: Path, *, name: str) -> Iterator[Objects]:
    with s3() as server:
        yield Objects(server.bucket(), folder, name)


@contextmanager
def web(folder: Path) -> Iterator[WebObject]:
    """Yield an object of an HTTP server."""
    with s3() as server:
        yield WebObject(server.bucket(PublicBucket), folder, "contacts.csv")


plain: Kind = partial(_objects, name="contacts.csv")
compressed: Kind = partial(_objects, name="contacts.csv.gz")
parquet: Kind = partial(_objects, name="contacts.parquet")
