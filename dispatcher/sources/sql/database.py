"""A SELECT of the user in a database of SQLAlchemy: opened, checked, and read page by page."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dispatcher.drivers.database import connect_limit, load_sqlalchemy, open_engine
from dispatcher.drivers.errors import DriverError
from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait
from dispatcher.sources.sql.database_errors import call_database
from dispatcher.sources.sql.postgresql_values import keep_far_dates

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """What is read: a SELECT, and the column by whose values its result is read in order.

    ``url`` is SQLAlchemy's, without a password. ``timeout_seconds`` limits each statement where the
    database can do that.
    """

    url: str
    query: str
    key: str
    page_rows: int = 1000
    timeout_seconds: float = 60.0

    @property
    def fingerprint(self) -> str:
        """What identifies the result: where it comes from, the query and its key."""
        parts = f"{self.url}\0{self.query}\0{self.key}"
        return hashlib.sha256(parts.encode()).hexdigest()


class Database:
    """The result of a query, page by page. Use it in one thread; `close` it.

    Raises:
        SourceError: the package or the driver is not installed, or the URL is none.

    """

    def __init__(self, query: SqlQuery, password: str, away: AwayWait) -> None:
        try:
            self._sql = load_sqlalchemy()
        except DriverError as error:
            raise SourceError(str(error)) from None
        self._query = query
        self._password = password
        self.away = away
        self.key = query.key
        self._engine = self._open()
        self.name = f"{self._engine.dialect.name}:{self._engine.url.database or ''}"

    def close(self) -> None:
        """Close its connection."""
        self._engine.dispose()

    def columns(self) -> Sequence[str]:
        """Return the names of the result's columns.

        Raises:
            SourceError: the query is refused.

        """
        return self._execute(self._page(None, 0), lambda result: tuple(result.keys()))

    def count_without_key(self) -> int:
        """Return how many rows have no key, so that they are never read."""
        sql, key = self._sql, self._key()
        count = sql.select(sql.func.count()).select_from(self._rows()).where(key.is_(None))
        return self._execute(count, lambda result: int(result.scalar_one()))

    def count(self) -> int:
        """Return how many rows the result has now."""
        sql = self._sql
        count = sql.select(sql.func.count()).select_from(self._rows())
        return self._execute(count, lambda result: int(result.scalar_one()))

    def page(self, after: Any) -> Sequence[Mapping[str, object]]:
        """Return the rows with the smallest keys after ``after``, in order; None: from the first.

        Raises:
            SourceError: the query is refused.

        """
        statement = self._page(after, self._query.page_rows)
        return self._execute(statement, lambda result: [dict(row) for row in result.mappings()])

    def _rows(self) -> Any:
        """Return the user's query as a table of rows."""
        text = self._query.query.strip().rstrip(";") + "\n"  # ends a comment in the last line
        return self._sql.text(text.replace(":", "\\:")).columns(self._key()).subquery("contacts")

    def _key(self) -> Any:
        return self._sql.column(self._query.key)

    def _page(self, after: Any, limit: int) -> Any:
        sql, key = self._sql, self._key()
        page = sql.select(sql.text("*")).select_from(self._rows()).order_by(key).limit(limit)
        if after is None:
            return page.where(key.is_not(None))
        return page.where(key > (self._text(after) if isinstance(after, str) else after))

    def _text(self, after: str) -> Any:
        """Return a text without a type: as VARCHAR it is not compared as the key is ordered."""
        return self._sql.bindparam(None, after, type_=self._sql.types.NullType())

    def _execute(self, statement: Any, take: Callable[[Any], T]) -> T:
        def execute() -> T:
            with self._engine.connect() as connection:
                return take(connection.execute(statement))

        return call_database(self.name, self._password, self.away, execute)

    def _open(self) -> Any:
        timeout = self._query.timeout_seconds
        try:
            engine = open_engine(
                self._query.url, self._password, lambda driver: _connect_args(driver, timeout)
            )
        except DriverError as error:
            raise SourceError(f"source.sql.url: {error}") from None
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(self._sql, engine)
        if engine.dialect.driver == "psycopg":
            self._sql.event.listen(engine, "connect", keep_far_dates)
        return engine.execution_options(**_READ_ONLY.get(engine.dialect.name, {}))


def _prepare_sqlite(sql: Any, engine: Any) -> None:
    """Make SQLite read only, and look for the file, which it would create.

    Raises:
        SourceError: there is no such file.

    """
    path = engine.url.database or ""
    if path and path != ":memory:" and not path.startswith("file:") and not Path(path).is_file():
        raise SourceError(f"source.sql.url: there is no file {path}")

    def connected(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    sql.event.listen(engine, "connect", connected)


_READ_ONLY: Mapping[str, Mapping[str, bool]] = {"postgresql": {"postgresql_readonly": True}}


def _connect_args(driver: str, timeout_seconds: float) -> dict[str, object]:
    """Return a driver's own arguments for time limits; none for a driver that is not known."""
    arguments = connect_limit(driver)
    if driver == "psycopg":
        arguments["options"] = f"-c statement_timeout={int(timeout_seconds * 1000)}"
    if driver == "pymysql":
        arguments["read_timeout"] = int(timeout_seconds)
    return arguments
