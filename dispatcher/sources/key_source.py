"""The rows of a query as a source, read in the order of a key."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

from dispatcher.domain.contact import RejectedRow
from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.away import AwayWait
from dispatcher.sources.batching import BATCH_ROWS
from dispatcher.sources.key_pages import (
    check_progress,
    in_batches,
    read_key,
    whole_keys,
    write_key,
)
from dispatcher.sources.options import RowRules
from dispatcher.sources.records import RecordBuilder
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread


class KeyQuery(Protocol):
    """What is read: a query, and how its rows are identified."""

    @property
    def fingerprint(self) -> str:
        """What identifies the rows."""
        ...

    @property
    def page_rows(self) -> int:
        """The rows of a page, at most."""
        ...


class KeyRows(Protocol):
    """The rows of a query, page by page, used in one thread."""

    name: str
    key: str
    """The name of the column by which it is read."""

    def columns(self) -> Sequence[str]:
        """Return the names of the result's columns."""
        ...

    def count_without_key(self) -> int:
        """Return how many rows have no key."""
        ...

    def page(self, after: Any) -> Sequence[Mapping[str, object]]:
        """Return the rows with the smallest keys after ``after``, in order."""
        ...

    def close(self) -> None:
        """Close its connection."""
        ...


class KeySource:
    """Reads the result of a query in the order of its key, page by page.

    ``open_database`` opens it in the reading thread. With ``poll_seconds`` it looks for rows with
    later keys for as long as it is iterated; a row that gets an earlier key than one that was read
    is never read. Rows without a key cannot be read: they cost one rejected row together.
    """

    def __init__(
        self,
        query: KeyQuery,
        open_database: Callable[[AwayWait], KeyRows],
        rules: RowRules,
        poll_seconds: float | None = None,
        away: AwayWait | None = None,
    ) -> None:
        self._query = query
        self._open_database = open_database
        self._rules = rules
        self._poll_seconds = poll_seconds
        self._away = away or AwayWait()
        self.watched = poll_seconds is not None
        self.lag = None

    @property
    def waits_for(self) -> str:
        """Why the database cannot be read now; empty if it can."""
        return self._away.reason

    def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows after the last key.

        Raises:
            SourceError: the database refuses the login or the query, its columns are not as the
                settings need them, or its key cannot be one.

        """
        start = known.get(self._query.fingerprint)
        return iterate_in_thread(lambda channel: self._read(start, channel), known)

    def _read(self, start: Stream | None, channel: BatchChannel) -> None:
        self._away.begin(channel.wait)
        with closing(self._open_database(self._away)) as database:
            builder = RecordBuilder(database.name, self._rules)
            columns = database.columns()
            if database.key not in columns:
                raise SourceError(
                    f"{database.name}: the query has no column {database.key}, which is its key; "
                    f"it has {', '.join(columns)}"
                )
            builder.check_columns(columns)
            stream = start or Stream(database.name, self._query.fingerprint, "", 0, done=False)
            stream = self._read_pages(database, builder, stream, channel)
            self._reject_keyless(database, stream, channel)
            while self._poll_seconds is not None:
                channel.wait(self._poll_seconds)
                stream = self._read_pages(database, builder, stream, channel)

    def _read_pages(
        self, database: KeyRows, builder: RecordBuilder, stream: Stream, channel: BatchChannel
    ) -> Stream:
        """Read all pages that there are now; return the stream after them."""
        key, limit = database.key, self._query.page_rows
        while True:
            last = read_key(stream.at) if stream.at else None
            found = database.page(last)
            check_progress(found, key, last, database.name)
            rows = whole_keys(found, key, limit, database.name)
            for part in in_batches(rows, key, BATCH_ROWS):
                at, count = write_key(part[-1][key]), stream.rows + len(part)
                after = Stream(database.name, stream.fingerprint, at, count, done=False)
                channel.put(builder.batch(part, stream.rows + 1, after))
                stream = after
            channel.check()
            if len(found) < limit:
                return stream

    def _reject_keyless(self, database: KeyRows, stream: Stream, channel: BatchChannel) -> None:
        """Send one rejected row if some rows have no key, so that they are not lost silently."""
        count = database.count_without_key()
        if count:
            detail = f"{count:,} rows have no {database.key}: they are not read"
            row = RejectedRow(database.name, stream.rows, "unreadable", detail, b"")
            channel.put(Batch((), (row,)))
