"""Addresses of objects: the bucket, and which keys in it are meant."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from dispatcher.drivers.errors import DriverError
from dispatcher.drivers.object_store import split_address
from dispatcher.ports import SourceError

_MAGIC = "*?["


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """A bucket, and a pattern of keys in it.

    ``root`` is the address of the bucket (for HTTP of the server), without a last slash.
    ``pattern`` is a key, a glob (``*`` does not match a slash, ``**`` does), or a prefix that ends
    with a slash or is empty: the whole bucket has no key.
    """

    root: str
    pattern: str

    @property
    def has_magic(self) -> bool:
        """Whether several keys may be meant."""
        return any(sign in self.pattern for sign in _MAGIC) or self._is_prefix

    @property
    def _is_prefix(self) -> bool:
        return not self.pattern or self.pattern.endswith("/")

    @property
    def folder(self) -> str:
        """The part of the pattern that all keys begin with, up to a slash."""
        first = min((self.pattern.find(s) for s in _MAGIC if s in self.pattern), default=None)
        fixed = self.pattern if first is None else self.pattern[:first]
        return fixed[: fixed.rfind("/") + 1]

    def matches(self, key: str) -> bool:
        """Return True if a key is meant."""
        if self._is_prefix:
            return key.startswith(self.pattern) and "/" not in key[len(self.pattern) :]
        return _match(key.split("/"), self.pattern.split("/"))

    def name(self, key: str) -> str:
        """Return the whole address of a key."""
        return f"{self.root}/{key}"


def parse_address(url: str) -> ObjectAddress:
    """Return the parts of an address such as ``s3://bucket/folder/*.csv``.

    Raises:
        SourceError: it is not one.

    """
    try:
        root, pattern = split_address(url)
    except DriverError as error:
        raise SourceError(f"source.path {error}") from None
    address = ObjectAddress(root, pattern)
    if root.startswith("http") and (address.has_magic or not pattern):
        raise SourceError(  # what follows a question mark may be a signature, so it is not shown
            f"{root}: an HTTP server has no list of its objects, and a query cannot be "
            "read in parts: name one object, without *, ?, [ and a last slash"
        )
    return address


def _match(key: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not key
    if pattern[0] == "**":
        return any(_match(key[start:], pattern[1:]) for start in range(len(key) + 1))
    return bool(key) and fnmatchcase(key[0], pattern[0]) and _match(key[1:], pattern[1:])
