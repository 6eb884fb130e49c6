"""A checksum of rows that does not depend on their order."""

import marshal
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from dispatcher.ledgers.copying.tables import Row

_BYTES = 16
_FORMAT = 2
"""The last format of marshal in which equal values have equal bytes."""


@dataclass(slots=True)
class Checksum:
    """The number of rows, and the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows, whose values are plain."""
        total, number = self.total, 0
        for row in rows:
            digest = blake2b(marshal.dumps(row, _FORMAT), digest_size=_BYTES).digest()
            total += int.from_bytes(digest, "big")
            number += 1
        self.total = total % (1 << 8 * _BYTES)
        self.rows += number

    def __str__(self) -> str:
        return f"{self.total:032x}"
