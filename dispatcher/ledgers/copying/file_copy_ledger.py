"""A ledger in a file, as the source or the target of a copy."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from dispatcher.ledgers.copying.copy_ledger import BATCH, RowBatch, SinkCursor
from dispatcher.ledgers.copying.tables import TABLES, LedgerTable, Row
from dispatcher.ledgers.errors import translated_errors
from dispatcher.ledgers.exclusive import ExclusiveLedger, transaction
from dispatcher.ledgers.file_system import check_local
from dispatcher.ledgers.moves import Move, read_move, write_move
from dispatcher.ledgers.registration import read_record, register
from dispatcher.ledgers.schema import check_exists
from dispatcher.ledgers.statements import by_name, script
from dispatcher.ledgers.write.claims import recover
from dispatcher.ports.copying import Prepared

SQL = by_name(script("copying.sql"))
_CACHE = "PRAGMA cache_size = -200000"
_STAGED = {"contact": ", lately", "reached": ", lately"}
_MERGED = {"contact": ", 0", "reached": ", 0"}


class FileCopyLedger:
    """The file at ``path``, locked as a run does."""

    def __init__(self, path: Path, exclusive: ExclusiveLedger) -> None:
        self._path = path
        self._exclusive = exclusive
        self._connection = exclusive.connection
        self._connection.execute(_CACHE)

    @classmethod
    def open(
        cls, path: Path, *, create: bool, now: float, allow_network_filesystem: bool = False
    ) -> Self:
        """Lock and open the file.

        Raises:
            LedgerLockedError: another process has locked it.
            CopiedLedgerError: it is a copy of a file.
            LedgerError: there is none, or it cannot be used.

        """
        if not create:
            check_exists(path)
        if not allow_network_filesystem:
            check_local(path)
        exclusive = ExclusiveLedger.open(path, moving=True)
        try:
            with translated_errors(path):
                if not create:
                    register(exclusive.connection, exclusive.lock, path, now)
                return cls(path, exclusive)
        except BaseException:
            exclusive.close()
            raise

    @property
    def name(self) -> str:
        """The whole path."""
        return str(self._path.resolve())

    def move(self) -> Move | None:
        """Return its mark."""
        with translated_errors(self._path):
            return read_move(self._connection)

    def mark(self, move: Move | None) -> None:
        """Replace its mark."""
        with translated_errors(self._path), transaction(self._connection):
            write_move(self._connection, move)

    def is_new(self) -> bool:
        """Return whether all tables are empty."""
        return not any(self.count(table) for table in TABLES)

    def clear(self) -> None:
        """Remove all rows."""
        with translated_errors(self._path), transaction(self._connection):
            for table in reversed(TABLES):
                self._connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - a constant
            self._connection.execute("DELETE FROM moved_cursor")

    def was_used(self, move: Move) -> bool:
        """Return whether a run has opened it since the copy was complete."""
        with translated_errors(self._path):
            record = read_record(self._connection)
        return record is None or move.progress != ("opened", [record.opened])

    def prepare(self, now: float) -> Prepared:
        """Release claimed contacts, doubt what was sending, park doubles, merge what is staged."""
        connection = self._connection
        with translated_errors(self._path), transaction(connection):
            released = doubted = 0
            for (id_,) in connection.execute("SELECT id FROM campaign").fetchall():
                (before,) = connection.execute(SQL["count_sending"], (id_,)).fetchone()
                released += recover(connection, id_, now).released
                doubted += before
            parked = connection.execute(SQL["park_doubles"], {"now": now}).rowcount
            for name in ("complete_intents", "merge_keys", "merge_people"):
                connection.execute(SQL[name])
        return Prepared(released, doubted, parked)

    def count(self, table: LedgerTable) -> int:
        """Return the number of rows."""
        with translated_errors(self._path):
            (count,) = self._connection.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone()  # noqa: S608 - a constant
        return int(count)

    def batches(self, table: LedgerTable, after: Sequence[Any] | None = None) -> Iterator[RowBatch]:
        """Yield the rows after a place, in batches."""
        key = ", ".join(table.key)
        merged = "lately = 0" if table.name == "reached" else "1"
        places = [table.place(column) for column in table.key]
        marks = ", ".join("?" * len(places))
        select = f"SELECT {_quoted(table)} FROM {table.name} WHERE {merged}"  # noqa: S608 - constants
        order = f"ORDER BY {key} LIMIT {BATCH}"
        while True:
            where = f"AND ({key}) > ({marks})" if after else ""
            with translated_errors(self._path):
                rows = self._connection.execute(f"{select} {where} {order}", after or ()).fetchall()
            if not rows:
                return
            after = [rows[-1][place] for place in places]
            yield RowBatch(rows, after)

    def write(self, table: LedgerTable, rows: Sequence[Row], move: Move) -> None:
        """Write rows and the mark in one transaction."""
        names = f"{_quoted(table)}{_STAGED.get(table.name, '')}"
        marks = ", ".join("?" * len(table.columns)) + _MERGED.get(table.name, "")
        insert = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - constants
        with translated_errors(self._path), transaction(self._connection):
            self._connection.executemany(insert, rows)
            write_move(self._connection, move)

    def cursors(self) -> Sequence[SinkCursor]:
        """Return the cursors that came from a database: a database reads all others as they are."""
        with translated_errors(self._path):
            return [
                SinkCursor(text, int(at)) for text, at in self._connection.execute(SQL["moved"])
            ]

    def finish(self, cursors: Sequence[SinkCursor], move: Move) -> None:
        """Write what the cursors of the sinks mean here, and the id that new contacts exceed."""
        connection = self._connection
        with translated_errors(self._path), transaction(connection):
            connection.execute("DELETE FROM moved_cursor")
            for cursor in cursors:
                values = (cursor.text, str(cursor.last))
                connection.execute("INSERT INTO moved_cursor VALUES (?, ?)", values)
            (last,) = connection.execute("SELECT MAX(contact_id) FROM reached").fetchone()
            write_move(connection, replace(move, last_contact=last or 0))

    def arrive(self, move: Move, now: float) -> None:
        """Record where the file is, and that the copy is complete."""
        connection = self._connection
        with translated_errors(self._path):
            register(connection, self._exclusive.lock, self._path, now, adopt=True)
            record = read_record(connection)
            opened = record.opened if record else 0
            with transaction(connection):
                write_move(connection, move.now("arrived", now).after("opened", [opened]))

    def last_cursor(self) -> str:
        """Return the highest id of the lineage."""
        with translated_errors(self._path):
            (last,) = self._connection.execute("SELECT MAX(id) FROM lineage").fetchone()
        return str(last or "")

    def keep(self) -> None:
        """Do nothing: the lock stays as long as the process."""

    def close(self) -> None:
        """Close the file and release its lock."""
        with closing(self._exclusive), translated_errors(self._path):
            self._connection.execute("PRAGMA optimize")


def _quoted(table: LedgerTable) -> str:
    return ", ".join(f'"{name}"' for name in table.names)
