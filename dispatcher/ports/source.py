"""The source of contacts."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.status import Irregularity


@dataclass(frozen=True, slots=True)
class Position:
    """How far one file was read.

    ``fingerprint`` identifies the content, since another file may have the same name. ``offset``
    is in bytes of the (decompressed) content, ``line`` in lines. ``done`` is true if the file was
    read completely.
    """

    file: str
    fingerprint: str
    offset: int
    line: int
    done: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of the source in their order, and the position after them.

    ``position`` is None for a source that can only be read from its beginning (standard input).
    ``filtered`` is the number of rows that the filter excluded. ``irregularities`` are counts of
    what was passed over or read as empty. ``empty_file`` is the name of a file or stream that was
    read from its beginning to its end and has no row.
    """

    contacts: Sequence[Contact]
    rejected: Sequence[RejectedRow] = ()
    filtered: int = 0
    position: Position | None = None
    irregularities: Mapping[Irregularity, int] = field(default_factory=dict)
    empty_file: str | None = None

    @property
    def rows(self) -> int:
        """The number of rows of the input in this batch."""
        return len(self.contacts) + len(self.rejected) + self.filtered


class Source(Protocol):
    """The source of contacts."""

    @property
    def watched(self) -> bool:
        """Whether rows may come at any time, so that none for long is nothing unusual."""
        ...

    @property
    def waits_for(self) -> str:
        """Why a part of it cannot be read now, for people; empty if there is no such part."""
        ...

    def batches(self, known: Mapping[str, Position]) -> AsyncGenerator[Batch, None]:
        """Yield the rows after the known position of each file.

        ``known`` has the positions in the ledger by fingerprint. Every row is in exactly one
        batch; the position of a batch includes all rows up to its end. Reading never blocks the
        event loop; closing the iterator ends it.

        Raises:
            SourceError: the source cannot be read at all.

        """
        ...


class SourceError(DispatcherError):
    """The source cannot be read; the message names it and what to do."""

    exit_code = ExitCode.SOURCE
