"""Lineage into a SQL database: each row once, by a cursor in the same transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from dispatcher.domain.ids import ID_LIMIT
from dispatcher.drivers.database import connect_limit, first_line, load_sqlalchemy, open_engine
from dispatcher.drivers.errors import DriverError
from dispatcher.drivers.threads import call_in_thread
from dispatcher.ports.sink import LineageRange, SinkError
from dispatcher.sinks.lineage_formats import COLUMNS, NUMBERS, TIMES, column_value

KEY = ("campaign", "contact_key")
"""What a row of the target is unique by: a contact that is sent to again has its newest row."""


@dataclass(frozen=True, slots=True)
class SqlTable:
    """Where rows go: SQLAlchemy's URL without a password, and the names of two tables.

    ``schema`` is the database's own, empty for its default. The tables are created if they are
    missing and ``create`` is true.
    """

    url: str
    table: str = "dispatcher_lineage"
    cursor_table: str = "dispatcher_sink"
    schema: str = ""
    create: bool = True


class SqlTarget:
    """Writes ranges into a table. Calls of the driver run in a thread.

    The cursor table has how far each sink has written; it moves in the transaction of the rows. So
    a range that was written is recognised, and two writers cannot both write it.

    Raises:
        SinkError: the package or the driver is not installed, or the URL is none.

    """

    def __init__(self, name: str, table: SqlTable, password: str) -> None:
        try:
            sqlalchemy = self._sql = load_sqlalchemy()
            self._engine = open_engine(table.url, password, connect_limit)
        except DriverError as error:
            raise SinkError(f"sink {name}: {error}") from None
        self._name = name
        self._table = table
        self._password = password
        self._metadata = sqlalchemy.MetaData(schema=table.schema or None)
        self._rows = sqlalchemy.Table(table.table, self._metadata, *_columns(sqlalchemy))
        self._cursors = sqlalchemy.Table(
            table.cursor_table,
            self._metadata,
            sqlalchemy.Column("sink", sqlalchemy.String(200), primary_key=True),
            sqlalchemy.Column("at", sqlalchemy.String(100), nullable=False),
        )
        self._is_ready = not table.create
        self._calling = Lock()

    async def write(self, lineage: LineageRange) -> None:
        """Write a range in one transaction, unless it was written.

        Raises:
            SinkError: the database is away or refuses, or another program moves the cursor.

        """
        await call_in_thread(lambda: self._called(lambda: self._write(lineage)))

    async def check(self) -> str:
        """Return what is there, in words; create the tables if they are missing.

        Raises:
            SinkError: the database is away or refuses.

        """
        return str(await call_in_thread(lambda: self._called(self._count)))

    async def close(self) -> None:
        """Close its connections, once a call that is under way has ended."""
        await call_in_thread(self._dispose)

    def _dispose(self) -> None:
        with self._calling:
            self._engine.dispose()

    def _count(self) -> str:
        self._create_tables()
        with self._engine.connect() as connection:
            sql = self._sql
            count = sql.select(sql.func.count()).select_from(self._rows)
            number = connection.execute(count).scalar_one()
            self._write_nothing(connection)
        return f"{number:,} rows in {self._rows.fullname}"

    def _write_nothing(self, connection: Any) -> None:
        """Execute what writes, for no row: columns, the unique key and permissions are checked."""
        sql, cursors = self._sql, self._cursors
        connection.execute(sql.update(cursors).where(sql.false()).values(at=""))
        connection.execute(self._insert_nothing(sql.insert(cursors), cursors))
        if self._replaces:
            connection.execute(self._insert_nothing(self._upsert_statement(), self._rows))
        else:
            connection.execute(sql.delete(self._rows).where(sql.false()))
            connection.execute(self._insert_nothing(sql.insert(self._rows), self._rows))

    def _insert_nothing(self, insert: Any, table: Any) -> Any:
        sql = self._sql
        values = (sql.cast(sql.null(), column.type) for column in table.columns)
        nothing = sql.select(*values).where(sql.false())
        return insert.from_select([column.name for column in table.columns], nothing)

    def _write(self, lineage: LineageRange) -> None:
        self._create_tables()
        with self._engine.begin() as connection:
            if self._move_cursor(connection, lineage) and lineage.rows:
                self._upsert(connection, lineage)

    def _create_tables(self) -> None:
        if not self._is_ready:
            self._metadata.create_all(self._engine)
            self._is_ready = True

    def _move_cursor(self, connection: Any, lineage: LineageRange) -> bool:
        """Move the cursor over a range; return False if it is behind the range already."""
        sql, cursors = self._sql, self._cursors
        sink = f"{self._name}/{lineage.part}/{lineage.token}"
        here = sql.and_(cursors.c.sink == sink, cursors.c.at == lineage.first)
        moved = connection.execute(sql.update(cursors).where(here).values(at=lineage.last))
        if moved.rowcount == 1:
            return True
        found = connection.execute(sql.select(cursors.c.at).where(cursors.c.sink == sink)).scalar()
        if found is None and lineage.first == lineage.origin:
            connection.execute(sql.insert(cursors).values(sink=sink, at=lineage.last))
            return True
        if found == lineage.last:
            return False
        raise SinkError(
            f"sink {self._name}: the cursor in {cursors.fullname} is at {found!r}, and the range "
            f"begins after {lineage.first!r}; the table was changed or restored. Write at = "
            f"'{lineage.first}' for sink = '{sink}' there, and export the rows between with "
            "dispatcher lineage export"
        )

    def _upsert(self, connection: Any, lineage: LineageRange) -> None:
        """Insert the rows; a row of the same contact is replaced. The last one of a key stays."""
        newest = {(row.campaign, row.contact_key): row for row in lineage.rows}
        rows = [{name: column_value(name, row) for name in COLUMNS} for row in newest.values()]
        if self._replaces:
            connection.execute(self._upsert_statement(), rows)
            return
        sql = self._sql
        same = sql.and_(*(self._rows.c[name] == sql.bindparam(f"old_{name}") for name in KEY))
        keys = [{f"old_{name}": row[name] for name in KEY} for row in rows]
        connection.execute(sql.delete(self._rows).where(same), keys)
        connection.execute(sql.insert(self._rows), rows)

    @property
    def _replaces(self) -> bool:
        """Whether an insert can replace the row that has the key."""
        return self._engine.dialect.name in ("postgresql", "sqlite")

    def _upsert_statement(self) -> Any:
        insert = _insert_of(self._engine.dialect.name)(self._rows)
        others = {name: insert.excluded[name] for name in COLUMNS if name not in KEY}
        return insert.on_conflict_do_update(index_elements=list(KEY), set_=others)

    def _called(self, call: Callable[[], Any]) -> Any:
        exc = self._sql.exc
        try:
            with self._calling:
                return call()
        except exc.DBAPIError as error:
            reason = first_line(error.orig, self._password)
        except exc.SQLAlchemyError as error:
            reason = type(error).__name__
        raise SinkError(f"sink {self._name}: the database does not take the rows: {reason}")


def _insert_of(dialect: str) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - an optional extra

    return postgresql.insert if dialect == "postgresql" else sqlite.insert


def _columns(sql: Any) -> list[Any]:
    """Return the columns of the lineage; docs/lineage.md describes them."""
    times = sql.DateTime(timezone=True)
    return [
        sql.Column(
            name,
            times if name in TIMES else sql.BigInteger() if name in NUMBERS else _text(sql, name),
            primary_key=name in KEY,
            autoincrement=False,
        )
        for name in COLUMNS
    ]


def _text(sql: Any, name: str) -> Any:
    """Return a type with a length for a key: some databases have no other key."""
    return sql.String(ID_LIMIT) if name in KEY else sql.Text()
