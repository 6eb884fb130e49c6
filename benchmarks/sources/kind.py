"""What a kind of source brings to the benchmark, and the rows that all of them have."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

COLUMNS = ("id", "conversation_id", "external_contact_id", "address", "first_name", "city")
BAD_EVERY = 100
"""One row of so many has no conversation, so it is rejected."""


def contact_rows(count: int) -> Iterator[tuple[int, str, str, str, str, str]]:
    """Yield rows with values for all columns; the ids are such that they do not compress well."""
    for number in range(count):
        ids = hashlib.sha512(str(number).encode()).hexdigest()
        conversation = "" if number % BAD_EVERY == 3 else ids[:32]
        yield number, conversation, ids[32:64], f"+49170{number:07}", "Ada", "Rome"


def bad_rows(count: int) -> int:
    """Return how many of the rows are to be rejected."""
    return sum(number % BAD_EVERY == 3 for number in range(count))


class Breakable(Protocol):
    """A server that can be taken away."""

    def break_off(self) -> None:
        """Take it away."""
        ...

    def give_back(self) -> None:
        """Let it answer again."""
        ...


class Served(Protocol):
    """A source with rows in it, whose server runs."""

    environment: Mapping[str, str]
    """Variables that hold its credentials."""
    breakable: Breakable | None
    """None if there is no server that can be away."""

    def fill(self, rows: int) -> None:
        """Write so many rows in place of those that are there."""
        ...

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the settings that read it, over what can be taken away or not."""
        ...


class Kind(Protocol):
    """Starts the server of a kind of source, for as long as the block lasts."""

    def __call__(self, folder: Path) -> AbstractContextManager[Served]:
        """Keep what is needed in a folder."""
        ...
