"""The result of one execution of a query in Snowflake as a source."""

import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.away import AwayWait
from dispatcher.sources.batching import BATCH_ROWS
from dispatcher.sources.files.table_values import json_line
from dispatcher.sources.options import RowRules
from dispatcher.sources.records import RecordBuilder
from dispatcher.sources.snowflake.query import SnowflakeQuery, SnowflakeRows
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread


@dataclass(frozen=True, slots=True)
class ResultPlace:
    """A place in a result: its query's id, the rows before it, and a digest of the last of them.

    The digest shows whether the rows still have the order in which they were read.
    """

    query_id: str = ""
    rows: int = 0
    digest: str = ""

    @classmethod
    def read(cls, text: str) -> "ResultPlace":
        """Return the place that `write` wrote; the beginning for an empty text."""
        return cls(*json.loads(text)) if text else cls()

    def write(self) -> str:
        """Return the place as text."""
        return json.dumps([self.query_id, self.rows, self.digest])


class SnowflakeResultSource:
    """Executes a query once, and reads its result; a later run goes on in the same result.

    Snowflake keeps a result for 24 hours. A part of it is in memory at a time, at most.
    """

    watched = False
    lag = None

    def __init__(
        self,
        query: SnowflakeQuery,
        open_rows: Callable[[AwayWait], SnowflakeRows],
        rules: RowRules,
        away: AwayWait | None = None,
    ) -> None:
        self._query = query
        self._open_rows = open_rows
        self._rules = rules
        self._away = away or AwayWait()

    @property
    def waits_for(self) -> str:
        """Why Snowflake cannot be read now; empty if it can."""
        return self._away.reason

    def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows after the known place of the result.

        Raises:
            SourceError: Snowflake refuses the login or the query, its columns are not as the
                settings need them, or the result is not there any more.

        """
        start = known.get(self._query.fingerprint)
        return iterate_in_thread(lambda channel: self._read(start, channel), known)

    def _read(self, start: Stream | None, channel: BatchChannel) -> None:
        if start is not None and start.done:
            return
        self._away.begin(channel.wait)
        with closing(self._open_rows(self._away)) as found:
            builder = RecordBuilder(found.name, self._rules)
            builder.check_columns(found.columns())
            place = ResultPlace.read(start.at if start else "")
            reading = _Reading(found, self._query.fingerprint, builder, channel, place)
            reading.to_the_end()


class _Reading:
    """Reads one result, part by part."""

    def __init__(
        self,
        found: SnowflakeRows,
        fingerprint: str,
        builder: RecordBuilder,
        channel: BatchChannel,
        place: ResultPlace,
    ) -> None:
        self._found = found
        self._fingerprint = fingerprint
        self._builder = builder
        self._channel = channel
        self._place = place

    def to_the_end(self) -> None:
        """Send all batches after the place, and then the end of the stream."""
        self._found.call(self._read_on)

    def _read_on(self) -> None:
        """Read from the place on; after a download that failed this is done again."""
        cursor = self._found.result(self._place.query_id)
        query_id = self._place.query_id or cursor.sfqid
        self._place = ResultPlace(query_id, self._place.rows, self._place.digest)
        total = cursor.rowcount or 0
        for table in self._tables(cursor.get_result_batches()):
            for start in range(0, table.num_rows, BATCH_ROWS):
                rows = table.slice(start, BATCH_ROWS).to_pylist()
                self._send(rows, done=self._place.rows + len(rows) >= total)
        if not total:
            stream = self._stream(done=True)
            self._channel.put(Batch((), stream=stream, empty_file=self._found.name))

    def _tables(self, parts: Sequence[Any]) -> Iterator[Any]:
        """Yield Arrow tables of the rows after the place; parts before it are not downloaded."""
        before, place = 0, self._place
        for part in parts:
            after = before + part.rowcount
            if part.rowcount and after >= place.rows:
                table, known = self._found.table(part), max(0, place.rows - before)
                if known:
                    self._check_order(table.slice(known - 1, 1).to_pylist()[0])
                yield table.slice(known)
            before = after

    def _check_order(self, row: Mapping[str, object]) -> None:
        if _digest(row) != self._place.digest:
            raise SourceError(
                f"{self._found.name}: the result of the query {self._place.query_id} has another "
                "order than before; set source.snowflake.key, so that rows are read by a key, or "
                "change the query, for example by a comment: it is executed again"
            )

    def _send(self, rows: Sequence[Mapping[str, object]], *, done: bool) -> None:
        first = self._place.rows + 1
        count = self._place.rows + len(rows)
        self._place = ResultPlace(self._place.query_id, count, _digest(rows[-1]))
        self._channel.put(self._builder.batch(rows, first, self._stream(done=done)))

    def _stream(self, *, done: bool) -> Stream:
        place = self._place
        return Stream(self._found.name, self._fingerprint, place.write(), place.rows, done)


def _digest(row: Mapping[str, object]) -> str:
    return hashlib.sha256(json_line(dict(row))).hexdigest()[:16]
