"""The source of contacts."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.status import Irregularity
from dispatcher.ports.ledger_values import Admitted
from dispatcher.ports.posts import Receipt, RejectedPostRow, RequestKey


@dataclass(frozen=True, slots=True)
class Stream:
    """A sequence of rows, and the place up to which it was read.

    ``name`` is for people: a path, an object's address, a topic and its partition. ``fingerprint``
    identifies the content, since another one may have the same name. ``at`` is the place; it is
    opaque to everything but the source that wrote it. ``rows`` is the number of rows, lines or
    messages up to there. ``done`` is true if the stream was read completely.
    """

    name: str
    fingerprint: str
    at: str
    rows: int
    done: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one stream in their order, and the place after them.

    ``stream`` is None for a source that can only be read from its beginning (standard input).
    ``before`` is the place that the ledger must have for the stream when the batch is admitted,
    None if it must not have the stream yet. ``filtered`` is the number of rows that the filter
    excluded. ``irregularities`` are counts of what was passed over or read as empty. ``empty_file``
    is the name of a stream that was read from its beginning to its end and has no row. ``done`` is
    called in the event loop once the batch is admitted, after the commit. ``request`` is that of a
    client which may repeat it: its result is kept with the batch, and a repeat admits nothing.
    """

    contacts: Sequence[Contact]
    rejected: Sequence[RejectedRow] = ()
    filtered: int = 0
    stream: Stream | None = None
    irregularities: Mapping[Irregularity, int] = field(default_factory=dict)
    empty_file: str | None = None
    before: str | None = None
    done: Callable[[Admitted], None] | None = None
    request: RequestKey | None = None

    @property
    def rows(self) -> int:
        """The number of rows of the input in this batch."""
        return len(self.contacts) + len(self.rejected) + self.filtered

    def receipt(self, admitted: Admitted) -> Receipt:
        """Return what became of the rows: now, or when the request was made first."""
        if admitted.receipt is not None:
            return admitted.receipt
        rejected = [RejectedPostRow(row.line, row.reason, row.detail) for row in self.rejected]
        return Receipt(admitted.admitted, admitted.duplicates, self.filtered, rejected)


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

    @property
    def lag(self) -> int | None:
        """How many rows are known to wait in it; None if it cannot know."""
        ...

    def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows after the known place of each stream.

        ``known`` has the streams in the ledger by fingerprint. Every row is in exactly one batch;
        the place of a batch includes all rows up to its end. Reading never blocks the event loop;
        closing the iterator ends it. A source that is away for now waits until it is back, and
        ``waits_for`` has the reason.

        Raises:
            SourceError: the source cannot be read at all.

        """
        ...


class SourceError(DispatcherError):
    """The source cannot be read; the message names it and what to do."""

    exit_code = ExitCode.SOURCE


class StreamMovedError(SourceError):
    """Something else has read on in a stream: the ledger has another place than the batch follows.

    Nothing of the batch is written.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}: another reader has moved this stream in the ledger; a stream has one reader "
            "at a time. End the other one, then run again"
        )
