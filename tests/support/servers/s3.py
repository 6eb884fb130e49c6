"""S3, played by moto's server; objects over plain HTTP come from the same server."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.servers.moto_server import moto_server

REGION = "eu-central-1"
IDENTITY = {"AWS_ACCESS_KEY_ID": "AKIA-test", "AWS_SECRET_ACCESS_KEY": "aws-secret-5K"}
"""Who asks, as every AWS tool finds it in the environment."""


@dataclass
class Bucket:
    """A bucket of its own on a running server; ``admin`` is a client of the server."""

    url: str
    name: str
    admin: Any

    @property
    def address(self) -> str:
        """The address of the bucket, without a last slash."""
        return f"s3://{self.name}"

    @property
    def config(self) -> dict[str, str]:
        """How the bucket is reached, as the library names it."""
        identity = {"access_key_id": "a", "secret_access_key": "b"}
        return {"endpoint": self.url, "region": REGION, **identity}

    def put(self, key: str, data: bytes) -> None:
        """Write an object, in place of one that has the key."""
        self.admin.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        """Return what an object has."""
        body = self.admin.get_object(Bucket=self.name, Key=key)["Body"]
        return bytes(body.read())


class PublicBucket(Bucket):
    """A bucket that needs no credentials, as Google's library reads it: its XML is that of S3."""

    @property
    def address(self) -> str:
        """The address of the bucket, without a last slash."""
        return f"gs://{self.name}"

    @property
    def config(self) -> dict[str, str]:
        """How the bucket is reached, as the library names it."""
        return {"base_url": self.url, "skip_signature": "true"}

    def put(self, key: str, data: bytes) -> None:
        """Write an object that everybody may read."""
        self.admin.put_object(Bucket=self.name, Key=key, Body=data, ACL="public-read")


@dataclass
class S3:
    """A running server."""

    url: str
    admin: Any

    def bucket(self, kind: type[Bucket] = Bucket) -> Bucket:
        """Return a new, empty bucket."""
        name = f"bucket{uuid.uuid4().hex[:12]}"
        place = {"LocationConstraint": REGION}
        self.admin.create_bucket(Bucket=name, CreateBucketConfiguration=place)
        return kind(self.url, name, self.admin)


@contextmanager
def s3() -> Iterator[S3]:
    """Run the server for as long as the block lasts."""
    with moto_server("s3", REGION) as (url, admin):
        yield S3(url, admin)
