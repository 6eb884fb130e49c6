"""A source of rows that are in memory."""

import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.status import Irregularity
from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.memory.table_rows import TableRows
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.jsonl_rows import JsonRows
from dispatcher.sources.rows.line_reader import LineReader
from dispatcher.sources.rows.tables import check_names

BATCH_ROWS = 500
"""Rows of a batch, which the ledger admits in one transaction."""

Outcome = Contact | RejectedRow | None
"""What a row became: None if the filter excludes it."""


@dataclass(frozen=True, slots=True)
class RowOutcomes:
    """What each row of a table became, in the order of the rows.

    ``name`` is the table's name for people, ``fingerprint`` identifies its rows and what they
    were built by: the same rows with other rules are another stream.
    """

    name: str
    fingerprint: str
    outcomes: Sequence[Outcome]
    irregularities: Mapping[Irregularity, int]


def build_rows(rows: TableRows, rules: RowRules, context: str) -> RowOutcomes:
    """Return the contacts of the rows; ``context`` has all settings that shape them.

    Raises:
        SourceError: the table lacks a column that the rules need.

    """
    digest = hashlib.sha256(context.encode())
    for number, line in enumerate(rows.lines):
        error = rows.errors.get(number)
        digest.update(line if error is None else f"{error.reason} {error.detail}\n".encode())
    fingerprint = digest.hexdigest()
    name = f"rows-{fingerprint[:8]}"
    builder = ContactBuilder(rules)
    if rows.names:
        check_names(rows.names, name, builder.columns)
    outcomes = list(_outcomes(rows, name, builder))
    return RowOutcomes(name, fingerprint, outcomes, dict(builder.irregularities))


def _outcomes(rows: TableRows, name: str, builder: ContactBuilder) -> Iterator[Outcome]:
    for number, line in enumerate(rows.lines):
        error = rows.errors.get(number)
        if error is not None:
            yield RejectedRow(name, number + 1, error.reason, error.detail, line.rstrip(b"\n"))
            continue
        reader = LineReader(iter((line,)), terminator=b"\n", line=number)
        found = list(JsonRows(name, builder).rows(reader))
        if found:
            yield found[0]
        else:
            yield RejectedRow(name, number + 1, "no_id", "the row has no value at all", b"")


class RowSource:
    """Yields rows that were built before, from where the ledger has their stream."""

    def __init__(self, rows: RowOutcomes) -> None:
        self._rows = rows
        self.watched = False
        self.waits_for = ""
        self.lag = None

    async def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows after the known place of the table.

        Raises:
            SourceError: the ledger has a place that is not one of this table.

        """
        outcomes, name, fingerprint = self._rows.outcomes, self._rows.name, self._rows.fingerprint
        start = known.get(fingerprint)
        if start is not None and start.done:
            return
        before = None if start is None else start.at
        first = _place(start, len(outcomes))
        irregularities = self._rows.irregularities if start is None else {}
        for begin in range(first, max(len(outcomes), first + 1), BATCH_ROWS):
            part = outcomes[begin : begin + BATCH_ROWS]
            end = begin + len(part)
            stream = Stream(name, fingerprint, str(end), end, end == len(outcomes))
            contacts = [one for one in part if isinstance(one, Contact)]
            rejected = [one for one in part if isinstance(one, RejectedRow)]
            filtered = len(part) - len(contacts) - len(rejected)
            empty = name if not outcomes else None
            yield Batch(contacts, rejected, filtered, stream, irregularities, empty, before)
            before, irregularities = stream.at, {}


def _place(start: Stream | None, most: int) -> int:
    if start is None:
        return 0
    try:
        place = int(start.at)
    except ValueError:
        place = -1
    if not 0 <= place <= most:
        raise SourceError(f"{start.name}: the ledger has a place of it that is not one of its rows")
    return place
