"""A ledger in a database of PostgreSQL, as the source or the target of a copy."""

import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from dispatcher.ledgers.copying.copy_ledger import BATCH, RowBatch, SinkCursor
from dispatcher.ledgers.copying.tables import CONTACT, TABLES, LedgerTable, Row
from dispatcher.ledgers.moves import Move
from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    connect,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.copy_rows import (
    copied_values,
    plain_rows,
    ready_values,
    select_of,
    unsettled_values,
)
from dispatcher.ledgers.postgres.leases import OUT_OF_ORDER, RUN_OUT, TAKEN_OVER
from dispatcher.ledgers.postgres.migrations import check_schema, has_older_functions, migrate
from dispatcher.ledgers.postgres.moves import read_server_move, write_server_move
from dispatcher.ledgers.postgres.pages import cursor_text
from dispatcher.ledgers.postgres.registration import register_location
from dispatcher.ledgers.postgres.server_check import check_server
from dispatcher.ledgers.postgres.waits import WaitReport
from dispatcher.ports import LedgerError, LedgerLockedError
from dispatcher.ports.copying import Prepared

if TYPE_CHECKING:
    from psycopg import Connection

_APPLICATION = "dispatcher copy"
_LEASE_SECONDS = 10.0
"""A copy that was killed keeps others out for so long."""
_RENEW_SECONDS = 2.0
_POLL_SECONDS = 0.25
_LONG = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "
    "SET LOCAL lock_timeout = '60s'"
)
_RUN_BEGAN = "DSP05"
"""SQLSTATE of `dispatcher.before_mark`."""
_SORTED = ("reached",)
"""Tables that a file has in another order than the database."""
_IDENTITIES = ("campaign", "contact", "lineage", "rejected_row", "notice")


class ServerCopyLedger:
    """The ledger at ``address``, of which no run has a lease."""

    def __init__(self, address: PostgresAddress, connection: "Connection[Any]", me: int) -> None:
        self._address = address
        self._connection = connection
        self._me = me
        self._renewed = time.monotonic()

    @classmethod
    def open(cls, address: PostgresAddress, *, create: bool, now: float) -> Self:
        """Take the whole ledger. A copy that was killed is waited for.

        Raises:
            LedgerLockedError: a run uses it, or another copy.
            CopiedLedgerError: it is a copy of a database.
            LedgerError: there is no ledger, or it cannot be used.

        """
        connection = connect(address, application_name=_APPLICATION, statement_seconds=0)
        WaitReport(connection, address)
        try:
            with _errors(address):
                if create:
                    check_server(connection, address)
                _prepare_schema(connection, address, create=create)
                if not create:
                    register_location(connection, address, now, adopt=False)
                return cls(address, connection, _take(connection, address))
        except BaseException:
            connection.close()
            raise

    @property
    def name(self) -> str:
        """The URL without its options."""
        return self._address.name

    def move(self) -> Move | None:
        """Return its mark."""
        with _errors(self._address):
            return read_server_move(self._connection)

    def mark(self, move: Move | None) -> None:
        """Replace its mark."""
        with self._writing() as connection:
            connection.execute("SELECT dispatcher.before_mark(%s)", (self._me,))
            write_server_move(connection, move)

    def is_new(self) -> bool:
        """Return whether all tables are empty."""
        with _errors(self._address):
            return not any(
                self._one(f"SELECT EXISTS (SELECT 1 FROM dispatcher.{table.name})")  # noqa: S608 - a constant
                for table in TABLES
            )

    def clear(self) -> None:
        """Remove all rows."""
        names = ", ".join(f"dispatcher.{table.name}" for table in TABLES)
        with self._writing() as connection:
            connection.execute(
                f"TRUNCATE {names}, dispatcher.unsettled, dispatcher.held, dispatcher.ready, "
                "dispatcher.moved_cursor"
            )

    def was_used(self, move: Move) -> bool:
        """Return whether a run has registered since the copy was complete."""
        if move.progress is None or move.progress[0] != "opened":
            return True
        with _errors(self._address):
            return bool(self._one(_RUNS_SINCE, (move.progress[1][0], f"{_NAME}%")))

    def prepare(self, now: float) -> Prepared:
        """Release claimed contacts, and doubt what was sending."""
        released = doubted = 0
        with self._writing() as connection:
            for (id_,) in connection.execute("SELECT id FROM dispatcher.campaign").fetchall():
                doubted += self._one(_SENDING, (id_,))
                taken = self._one("SELECT dispatcher.take_up(%s, %s, %s)", (self._me, id_, now))
                released += taken[0]
        return Prepared(released, doubted)

    def count(self, table: LedgerTable) -> int:
        """Return the number of rows."""
        with _errors(self._address):
            return int(self._one(f"SELECT count(*) FROM dispatcher.{table.name}"))  # noqa: S608 - a constant

    def batches(self, table: LedgerTable, after: Sequence[Any] | None = None) -> Iterator[RowBatch]:
        """Yield the rows after a place, in batches."""
        pages = self._sorted_pages if table.name in _SORTED else self._pages
        keys = [table.place(name) for name in table.key]
        for found in pages(table, list(after or ())):
            yield RowBatch(plain_rows(table, found), [found[-1][key] for key in keys])

    def _pages(self, table: LedgerTable, place: list[Any]) -> Iterator[list[Row]]:
        """Read a table by an index, from a place on."""
        keys = [table.place(name) for name in table.key]
        while True:
            statement = select_of(table, BATCH, after=bool(place))
            with _errors(self._address), self._connection.cursor(binary=True) as cursor:
                found = cursor.execute(statement, place).fetchall()
            if not found:
                return
            yield found
            place = [found[-1][key] for key in keys]

    def _sorted_pages(self, table: LedgerTable, place: list[Any]) -> Iterator[list[Row]]:
        """Let the server sort a table once, and read the result in a session of its own.

        A cursor ends with its transaction, and the lease is renewed in others meanwhile. While the
        server sorts, it is not: it may run out, and is renewed then if no other copy has begun.
        """
        statement = select_of(table, None, after=bool(place))
        with (
            _errors(self._address),
            closing(
                connect(self._address, application_name=_APPLICATION, statement_seconds=0)
            ) as other,
            other.cursor("sorted") as cursor,
        ):
            other.execute("BEGIN READ ONLY; " + _LONG, prepare=False)
            cursor.execute(statement, place, binary=True)
            while found := cursor.fetchmany(BATCH):
                yield found

    def write(self, table: LedgerTable, rows: Sequence[Row], move: Move) -> None:
        """Write rows and the mark in one transaction."""
        columns, values = copied_values(table, rows)
        with self._writing() as connection:
            self._copy(table.name, columns, values)
            if table is CONTACT:
                self._copy("unsettled", *unsettled_values(rows, self._me))
                self._copy("ready", *ready_values(rows))
            write_server_move(connection, move)

    def _copy(self, table: str, columns: Sequence[str], values: Sequence[Row]) -> None:
        statement = f"COPY dispatcher.{table} ({', '.join(columns)}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(row)

    def cursors(self) -> Sequence[SinkCursor]:
        """Return the cursors that a file cannot read. Those that came from a file it can.

        Raises:
            LedgerError: a sink has to go on first: a range is going out, or its cursor is amid rows
                whose ids are not in the order of their commits.

        """
        with _errors(self._address):
            era = str(self._one("SELECT era FROM dispatcher.store"))
            rows = self._connection.execute(_SINK_CURSORS).fetchall()
            return [
                found
                for name, text, sending_to, at in rows
                if (found := self._sink_cursor(era, name, text, sending_to, at)) is not None
            ]

    def _sink_cursor(
        self, era: str, name: str, text: str, sending_to: str | None, at: str | None
    ) -> SinkCursor | None:
        native = re.fullmatch(rf"{era}-(\d+)-(\d+)", text, re.ASCII)
        is_behind = sending_to is not None and not sending_to.isdecimal()
        if native and not is_behind:
            row = self._connection.execute(_LAST_AND_NEXT, [*native.groups()] * 2).fetchone()
            last, following = row or (0, None)
            is_behind = following is not None and following < last
            at = str(last)
        if is_behind:
            raise ledger_error(
                self._address,
                f"sink {name!r} has rows that are going out, or that came from several runs; let "
                f"it go on first: dispatcher lineage export --to {name}",
            )
        return None if at is None else SinkCursor(text, int(at))

    def finish(self, cursors: Sequence[SinkCursor], move: Move) -> None:
        """Write what the cursors of the sinks mean here, and let new ids follow the copied ones."""
        with self._writing() as connection:
            connection.execute("DELETE FROM dispatcher.moved_cursor")
            for cursor in cursors:
                values = (cursor.text, str(cursor.last))
                connection.execute("INSERT INTO dispatcher.moved_cursor VALUES (%s, %s)", values)
            for table in _IDENTITIES:
                column = "number" if table == "notice" else "id"
                connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('dispatcher.{table}', '{column}'), "  # noqa: S608 - constants
                    f"GREATEST(max({column}), {_LEAST.get(table, '0')}, 1)) "
                    f"FROM dispatcher.{table} HAVING count(*) > 0 OR {_LEAST.get(table, '0')} > 0"
                )
            write_server_move(connection, move)

    def arrive(self, move: Move, now: float) -> None:
        """Record that the copy is complete; the planner learns what the tables have."""
        with _errors(self._address):
            for name in (*(table.name for table in TABLES), "ready"):
                self.keep()
                self._connection.execute(f"ANALYZE dispatcher.{name}")
        with self._writing() as connection:
            register_location(connection, self._address, now, adopt=True)
            last = self._one("SELECT max(id) FROM dispatcher.daemon")
            write_server_move(connection, move.now("arrived", now).after("opened", [last]))

    def last_cursor(self) -> str:
        """Return the cursor of the row that was committed last."""
        with _errors(self._address):
            row = self._connection.execute(_LAST_ROW).fetchone()
        return cursor_text(*row) if row else ""

    def keep(self) -> None:
        """Renew the lease if that is due."""
        if time.monotonic() - self._renewed > _RENEW_SECONDS:
            with self._writing():
                pass

    def close(self) -> None:
        """End the copy among the daemons, and the connection."""
        with suppress(Exception):  # the lease runs out by itself
            self._connection.execute("SELECT dispatcher.leave(%s)", (self._me,))
        self._connection.close()

    @contextmanager
    def _writing(self) -> Iterator["Connection[Any]"]:
        """Begin a transaction that no other copy can be in, and commit it."""
        with _errors(self._address), self._connection.transaction():
            self._connection.execute(_LONG, prepare=False)
            _, _, is_fenced = self._one(
                "SELECT dispatcher.resume(%s, %s)", (self._me, _LEASE_SECONDS)
            )
            if is_fenced:
                raise _late(self._address)
            yield self._connection
        self._renewed = time.monotonic()

    def _one(self, statement: str, values: Sequence[Any] = ()) -> Any:
        row = self._connection.execute(statement, values).fetchone()
        return row[0] if row else None


_NAME = "ledger copy "
_SINK_CURSORS = """
SELECT sink.name, sink.cursor, sink.sending_to, moved_cursor.at
FROM dispatcher.sink LEFT JOIN dispatcher.moved_cursor ON moved_cursor.cursor = sink.cursor
WHERE sink.part = 'rows' ORDER BY sink.name
"""
_RUNS_SINCE = """
SELECT EXISTS (SELECT 1 FROM dispatcher.daemon WHERE id > %s AND name NOT LIKE %s)
"""
_LAST_ROW = """
SELECT store.era, lineage.x::text, lineage.id FROM dispatcher.lineage, dispatcher.store
ORDER BY lineage.x DESC, lineage.id DESC LIMIT 1
"""
_LAST_AND_NEXT = """
SELECT
    COALESCE((SELECT max(id) FROM dispatcher.lineage WHERE (x, id) <= (%s::text::xid8, %s)), 0),
    (SELECT min(id) FROM dispatcher.lineage WHERE (x, id) > (%s::text::xid8, %s))
"""
_LEAST = {"contact": "COALESCE((SELECT max(contact_id) FROM dispatcher.reached), 0)"}
_SENDING = "SELECT count(*) FROM dispatcher.unsettled WHERE status = 'sending' AND campaign_id = %s"


def _prepare_schema(
    connection: "Connection[Any]", address: PostgresAddress, *, create: bool
) -> None:
    """Make a ledger in an empty database, if that is permitted; replace older functions."""
    there = check_schema(connection, address, moving=True)
    if there and not has_older_functions(connection):
        return
    if not there and not create:
        raise ledger_error(address, "there is no ledger in this database; check the URL")
    migrate(connection, address)


def _take(connection: "Connection[Any]", address: PostgresAddress) -> int:
    """Return the number of this copy among the daemons."""
    first: tuple[Any, ...] | None = None
    began = time.monotonic()
    name = f"{_NAME}{platform.node() or 'unknown'}-{os.getpid()}"
    while True:
        row = connection.execute(
            "SELECT dispatcher.begin_copy(%s, %s, %s)",
            (name, platform.node() or "unknown", _LEASE_SECONDS),
        ).fetchone()
        me, *run = row[0] if row else (None,)
        if me is not None:
            return int(me)
        found = tuple(run)
        first = first or found
        if found != first or time.monotonic() - began > _LEASE_SECONDS + 1:
            who, host = found[1], found[2]
            raise LedgerLockedError(
                f"ledger {address.name}: {who} on {host} uses it; stop all runs on this ledger, "
                "also those that only wait for their turn, and run this command again",
                str(who),
                "",
            )
        time.sleep(_POLL_SECONDS)


def _late(address: PostgresAddress) -> LedgerError:
    return ledger_error(
        address,
        "the copy did not renew its lease in time; run this command again, which goes on where it "
        "ended",
    )


@contextmanager
def _errors(address: PostgresAddress) -> Iterator[None]:
    """Translate the errors of the driver."""
    psycopg = load_psycopg()
    try:
        yield
    except psycopg.Error as error:
        if getattr(error, "sqlstate", None) in (TAKEN_OVER, RUN_OUT, OUT_OF_ORDER):
            raise _late(address) from None
        if getattr(error, "sqlstate", None) == _RUN_BEGAN:
            words = "a run has just begun on it; stop all runs, and run this command again"
            raise LedgerLockedError(f"ledger {address.name}: {words}", "", "") from None
        raise translate_error(address, error) from None
