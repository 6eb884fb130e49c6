"""A SELECT of the user in Snowflake: checked, counted, and read in parts."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from dispatcher.drivers.snowflake.errors import SnowflakeError
from dispatcher.drivers.snowflake.login import SnowflakeLogin
from dispatcher.drivers.snowflake.session import SnowflakeSession
from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SnowflakeQuery:
    """What is read: a SELECT, and the column by whose values it is read in order.

    Without a ``key`` the query is executed once, and its result is read as it is.
    """

    login: SnowflakeLogin
    query: str
    key: str = ""
    page_rows: int = 10_000

    @property
    def fingerprint(self) -> str:
        """What identifies the rows: the account, the place in it, the query and its key."""
        login = self.login
        parts = (login.account, login.database, login.schema, self.query, self.key)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @property
    def text(self) -> str:
        """The query without a semicolon at its end."""
        return self.query.strip().rstrip(";")


class SnowflakeRows:
    """The rows of a query. Use it in one thread; `close` it.

    Raises:
        SourceError: a package is not installed.

    """

    def __init__(self, query: SnowflakeQuery, away: AwayWait) -> None:
        try:
            self._session = SnowflakeSession(query.login)
        except SnowflakeError as error:
            raise SourceError(str(error)) from None
        self._query = query
        self.away = away
        self.key = query.key
        self.name = f"snowflake:{query.login.place}"
        self._session.on_slow = self._show

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def columns(self) -> Sequence[str]:
        """Return the names of the result's columns, and take the key's name as it is there.

        Raises:
            SourceError: the query is refused.

        """
        names = self.call(lambda: self._session.columns(self._query.text))
        same = [name for name in names if name.casefold() == self.key.casefold()]
        if same and self.key not in names:
            self.key = same[0]
        return names

    def count(self) -> int:
        """Return how many rows the result has now.

        Raises:
            SourceError: the query is refused.

        """
        return self._number(f"SELECT count(*) FROM {self._table}")

    def count_without_key(self) -> int:
        """Return how many rows have no key, so that they are never read."""
        return self._number(f"SELECT count(*) FROM {self._table} WHERE {self._key} IS NULL")

    def page(self, after: Any) -> Sequence[Mapping[str, object]]:
        """Return the rows with the smallest keys after ``after``, in order; None: from the first.

        Raises:
            SourceError: the query is refused.

        """
        key = self._key
        behind = f"{key} IS NOT NULL" if after is None else f"{key} > {_placeholder(after)}"
        limit = self._query.page_rows
        statement = f"SELECT * FROM {self._table} WHERE {behind} ORDER BY {key} LIMIT {limit}"
        values = () if after is None else (_bound(after),)

        def read() -> list[dict[str, Any]]:
            cursor = self._session.execute(statement, *values)
            parts = (part for part in cursor.get_result_batches() if part.rowcount)
            return [row for part in parts for row in self.table(part).to_pylist()]

        return self.call(read)

    def result(self, query_id: str) -> Any:
        """Return the cursor of the query's result: a new one, or that of ``query_id``.

        Raises:
            SourceError: the query is refused, or the result is not there any more.

        """
        if not query_id:
            return self.call(lambda: self._session.execute(self._query.text))
        try:
            scan = f"SELECT * FROM TABLE(RESULT_SCAN('{query_id}'))"
            return self.call(lambda: self._session.execute(scan))
        except SourceError as error:
            raise SourceError(
                f"{self.name}: the result of the query {query_id} cannot be taken up again; "
                "Snowflake keeps it for 24 hours, for the same user. Change the query, for example "
                "by a comment: it is executed again, and contacts that are known are duplicates "
                f"({error})"
            ) from None

    def table(self, part: Any) -> Any:
        """Return one part of a result that has rows, downloaded as a whole, as an Arrow table.

        Raises:
            SnowflakeError: the download failed.

        """
        return self._session.call(lambda: part.to_arrow(force_microsecond_precision=True))

    def call(self, work: Callable[[], T]) -> T:
        """Return what some work with the session returns; wait while Snowflake is away.

        Raises:
            SourceError: a person must mend it: the login, the warehouse, a permission, the query.

        """
        while True:
            try:
                result = work()
            except SnowflakeError as error:
                if not error.is_away:
                    raise SourceError(f"{self.name}: Snowflake {error}") from None
                self.away.wait(f"{self.name}: Snowflake {error}")
            else:
                self.away.is_back()
                return result

    def _show(self, reason: str) -> None:
        """Show why nothing comes now; an empty reason ends it."""
        self.away.reason = f"{self.name}: Snowflake {reason}" if reason else ""

    @property
    def _table(self) -> str:
        """The query as SQL has it in place of a table; it may end with a comment."""
        return f"({self._query.text}\n) AS contacts"

    @property
    def _key(self) -> str:
        """The name of the key as SQL has it."""
        return '"' + self.key.replace('"', '""') + '"'

    def _number(self, statement: str) -> int:
        return self.call(lambda: int(self._session.execute(statement).fetchone()[0]))


def _placeholder(key: Any) -> str:
    """Return a place for a key; a decimal is bound as text, which loses no digit."""
    if isinstance(key, Decimal):
        exponent = key.as_tuple().exponent
        return f"CAST(? AS NUMBER(38, {max(0, -int(exponent))}))"
    return "?"


def _bound(key: Any) -> Any:
    """Return a key as the connector binds it: a time with an offset needs its type."""
    if isinstance(key, Decimal):
        return f"{key:f}"
    if isinstance(key, datetime) and key.tzinfo is not None:
        return ("TIMESTAMP_TZ", key)
    return key
