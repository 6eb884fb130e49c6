"""Where lineage goes as it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.ports.stored_rows import LineageRow

Part = Literal["rows", "verdicts"]
"""New rows, or rows that were verified later and go out again."""


class SinkError(DispatcherError):
    """A sink does not take a range now; the message names it and what to do. It is tried again."""

    exit_code = ExitCode.SOURCE


@dataclass(frozen=True, slots=True)
class SinkPlace:
    """How far a part of the lineage has gone out to a sink.

    ``token`` is random and belongs to this sink of this ledger: names that are made of it are never
    those of another ledger, or of this one before it was restored. ``sending_to`` is the end of a
    range that is going out; None if none is. ``origin`` is the cursor at which the ranges of the
    token begin. ``sender`` is another run that sends to the sink now; empty: this one may.
    """

    token: str
    cursor: str
    sending_to: str | None
    origin: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class LineageRange:
    """Rows that go out together under one name, after ``first`` and up to ``last``.

    After a crash the same range goes out again, with the same rows and the same name. ``origin``
    is where the ranges of the token begin: only there a target need not have the range before.
    """

    token: str
    part: Part
    first: str
    last: str
    rows: Sequence[LineageRow]
    origin: str = ""


class SinkTarget(Protocol):
    """The place outside that takes ranges."""

    async def write(self, lineage: LineageRange) -> None:
        """Write a range, which may be empty; one that was written already changes nothing.

        Raises:
            SinkError: it is not certain that the range was written.

        """
        ...

    async def check(self) -> str:
        """Return what is there, in words, without writing lineage.

        Raises:
            SinkError: it is away, refuses, or lacks something.

        """
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class LineageLog(Protocol):
    """The lineage in the ledger, and how far it has gone out to each sink."""

    async def sink_place(self, sink: str, part: Part) -> SinkPlace:
        """Return how far a part has gone out; a sink that is new begins with the first row.

        From then on no other run sends to the sink while this one lives.
        """
        ...

    async def begin_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` is going out.

        Raises:
            SinkError: another run sends to the sink now.

        """
        ...

    async def end_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` has gone out.

        Raises:
            SinkError: another run sends to the sink now.

        """
        ...

    async def lineage_after(
        self, part: Part, cursor: str, limit: int
    ) -> Sequence[tuple[str, LineageRow]]:
        """Return up to ``limit`` rows after a cursor, each with its own cursor.

        No row comes later with a cursor before one that was returned.
        """
        ...

    async def lineage_lag(self, cursor: str) -> int:
        """Return how many new rows there are after a cursor of the part ``rows``, at most."""
        ...
