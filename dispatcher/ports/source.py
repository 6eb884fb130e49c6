"""Where contacts are read from."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.errors import DispatcherError, ExitCode


@dataclass(frozen=True, slots=True)
class Position:
    """How far one file was read.

    ``fingerprint`` tells this file from another under the same name, ``offset`` counts bytes
    of its (decompressed) content, ``line`` lines; ``done`` is true once it was read to its end.
    """

    file: str
    fingerprint: str
    offset: int
    line: int
    done: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of the source in their order, and where the source stands behind them.

    ``position`` is None for a source that cannot be read from the middle (standard input).
    ``filtered`` counts rows that the source's filter kept out.
    """

    contacts: Sequence[Contact]
    rejected: Sequence[RejectedRow] = ()
    filtered: int = 0
    position: Position | None = None

    @property
    def rows(self) -> int:
        """All rows of the input that this batch accounts for."""
        return len(self.contacts) + len(self.rejected) + self.filtered


class Source(Protocol):
    """Where contacts are read from."""

    def batches(self, known: Mapping[str, Position]) -> AsyncIterator[Batch]:
        """Yield the rows from where each file was left.

        ``known`` maps fingerprints to positions already in the ledger. Every row is in
        exactly one batch; the position of a batch covers all rows up to its end. Blocking
        reads never block the event loop, and closing the iterator ends them.

        Raises:
            SourceError: the source cannot be read at all.

        """
        ...


class SourceError(DispatcherError):
    """The source cannot be read; the message names it and what to do."""

    exit_code = ExitCode.SOURCE
