"""Lineage into Snowflake: each row once, by a cursor in the transaction of the rows."""

import io
from dataclasses import dataclass
from threading import Lock

from dispatcher.drivers.snowflake.errors import SnowflakeError
from dispatcher.drivers.snowflake.login import SnowflakeLogin
from dispatcher.drivers.snowflake.session import SnowflakeSession
from dispatcher.drivers.threads import call_in_thread
from dispatcher.ports.sink import LineageRange, SinkError
from dispatcher.sinks.lineage_formats import write_rows
from dispatcher.sinks.snowflake_statements import SnowflakeStatements


@dataclass(frozen=True, slots=True)
class SnowflakeTables:
    """The names of two tables, which are created if they are missing and ``create`` is true."""

    table: str = "dispatcher_lineage"
    cursor_table: str = "dispatcher_sink"
    create: bool = True


class SnowflakeTarget:
    """Writes ranges into a table. Calls of the connector run in a thread.

    A range is a Parquet file with the range's name, which is put into the stage of a temporary
    table and copied into this table. Then its rows are merged into the table, by campaign and
    contact key. The copy, the merge and the cursor are one transaction: a range that was written is
    recognised, and two writers cannot both write it.

    Raises:
        SinkError: a package is not installed.

    """

    def __init__(self, name: str, login: SnowflakeLogin, tables: SnowflakeTables) -> None:
        self._name = name
        self._tables = tables
        self._sql = SnowflakeStatements(tables.table, tables.cursor_table)
        self._has_tables = not tables.create
        self._calling = Lock()
        try:
            self._session = SnowflakeSession(login)
        except SnowflakeError as error:
            raise SinkError(f"sink {name}: {error}") from None

    async def write(self, lineage: LineageRange) -> None:
        """Write a range in one transaction, unless it was written.

        Raises:
            SinkError: Snowflake is away or refuses, or another program moves the cursor.

        """
        await call_in_thread(lambda: self._called(lineage))

    async def check(self) -> str:
        """Return what is there, in words; create the tables if they are missing.

        Raises:
            SinkError: Snowflake is away or refuses.

        """
        return await call_in_thread(self._count)

    async def close(self) -> None:
        """End its session, once a call that is under way has ended."""
        await call_in_thread(self._end)

    def _end(self) -> None:
        with self._calling:
            self._session.close()

    def _called(self, lineage: LineageRange) -> None:
        try:
            with self._calling:
                self._write(lineage)
        except SnowflakeError as error:
            raise SinkError(f"sink {self._name}: Snowflake {error}") from None

    def _count(self) -> str:
        try:
            self._create_tables()
            (number,) = self._session.execute(self._sql.count).fetchone()
            self._write_nothing()
        except SnowflakeError as error:
            raise SinkError(f"sink {self._name}: Snowflake {error}") from None
        return f"{number:,} rows in {self._session.login.place}.{self._tables.table}"

    def _write_nothing(self) -> None:
        """Execute what writes, for no row: the columns and the role's privileges are checked."""
        self._session.execute(self._sql.merge_nothing)
        self._session.execute(self._sql.begin_no_cursor)
        self._session.execute(self._sql.move, "", "", "")

    def _create_tables(self) -> None:
        if not self._has_tables:
            for statement in self._sql.create:
                self._session.execute(statement)
            self._has_tables = True

    def _write(self, lineage: LineageRange) -> None:
        """Write a range. What is no part of the transaction comes before it: it would end it."""
        self._create_tables()
        sink = f"{self._name}/{lineage.part}/{lineage.token}"
        self._session.execute(self._sql.begin_cursor, sink, lineage.origin)
        if self._cursor(sink) == lineage.last:
            return
        if lineage.rows:
            self._stage(lineage)
        self._session.execute("BEGIN")
        try:
            self._move_cursor(sink, lineage)
            if lineage.rows:
                self._merge(lineage)
            self._session.execute("COMMIT")
        except BaseException:
            self._session.roll_back()
            raise

    def _cursor(self, sink: str) -> str | None:
        row = self._session.execute(self._sql.cursor, sink).fetchone()
        return None if row is None else str(row[0])

    def _stage(self, lineage: LineageRange) -> None:
        """Put the rows into the stage; the last row of a contact is the one that counts."""
        newest = {(row.campaign, row.contact_key): row for row in lineage.rows}
        file = io.BytesIO()
        write_rows("parquet", list(newest.values()), file)
        file.seek(0)
        self._session.execute(self._sql.staging)
        self._session.execute(self._sql.put(file_name(lineage)), file_stream=file)

    def _move_cursor(self, sink: str, lineage: LineageRange) -> None:
        moved = self._session.execute(self._sql.move, lineage.last, sink, lineage.first)
        if moved.rowcount == 1:
            return
        found = self._cursor(sink)
        raise SinkError(
            f"sink {self._name}: the cursor in {self._tables.cursor_table} is at {found!r}, and "
            f"the range begins after {lineage.first!r}; the table was changed or restored. Write "
            f"place = '{lineage.first}' for sink = '{sink}' there, and export the rows between "
            "with dispatcher lineage export"
        )

    def _merge(self, lineage: LineageRange) -> None:
        """Copy the staged file, check that all of it has arrived, and merge it."""
        self._session.execute(self._sql.copy(file_name(lineage)))
        keys = len({(row.campaign, row.contact_key) for row in lineage.rows})
        (copied,) = self._session.execute(self._sql.count_staged).fetchone()
        if copied != keys:
            raise SinkError(
                f"sink {self._name}: {copied} of {keys} rows were loaded from the stage; the range "
                "is written again"
            )
        self._session.execute(self._sql.merge)


def file_name(lineage: LineageRange) -> str:
    """Return the name of a range's file in the stage."""
    first = lineage.first or "0"
    name = f"{lineage.part}-{lineage.token}-{first}-{lineage.last}"
    return "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in name) + ".parquet"
