"""Read-only access to a ledger, which never delays the daemon that writes to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import orjson

from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.codec import progress_of
from dispatcher.ledgers.errors import ledger_error, translated_errors
from dispatcher.ledgers.read.rows import ContactRow, StoredRejectedRow
from dispatcher.ledgers.schema import MIGRATIONS, check_exists, read_schema_version
from dispatcher.ledgers.statements import SQL
from dispatcher.ports.lineage import LineageRow

_PAGE = 1000


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a ledger of this version's schema, without ever writing to it.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    check_exists(path)
    with translated_errors(path):
        try:
            return connect(path)
        except sqlite3.OperationalError:
            if path.with_name(path.name + "-wal").exists():
                raise
        # closed cleanly, in a directory that this user may not write to: nothing changes the file
        return connect(path, "mode=ro&immutable=1")


def connect(path: Path, options: str = "mode=ro") -> sqlite3.Connection:
    """Open a ledger of this version's schema; `open_for_reading` translates the errors.

    Raises:
        LedgerError: it is of another version, or no ledger.
        sqlite3.Error: it cannot be read.

    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    if read_schema_version(connection, path) < len(MIGRATIONS):
        raise ledger_error(path, "it is of an older version or empty; a run migrates it")


@contextmanager
def read_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for reads that each see their own moment.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    with closing(open_for_reading(path)) as connection, translated_errors(path):
        yield connection


@contextmanager
def snapshot_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for reads that all see the same moment.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    with read_connection(path) as connection:
        connection.execute("BEGIN")
        yield connection


class LedgerReader:
    """The rows of one campaign, in pages; each page is one short read. Use it with ``with``.

    Raises:
        LedgerError: there is no ledger, no such campaign, or it cannot be read.

    """

    def __init__(self, path: str | Path, campaign: str) -> None:
        self._path = Path(path)
        self._campaign = campaign
        self._connection = open_for_reading(self._path)
        try:
            with translated_errors(self._path):
                self._id = find_campaigns(self._connection, campaign, self._path)[campaign]
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def lineage(self, after: int = 0) -> Iterator[LineageRow]:
        """Return lineage rows with an id above ``after``, in the order of their commits."""
        return map(lineage_row, self._pages("lineage_page", after, self._campaign))

    def rejected(self, after: int = 0) -> Iterator[StoredRejectedRow]:
        """Yield the rejected rows in the order of the source."""
        for row in self._pages("rejected_page", after, self._id):
            yield StoredRejectedRow(**dict(row))

    def contacts(self, status: Status, after: int = 0) -> Iterator[ContactRow]:
        """Yield the contacts of one status in the order of their admission."""
        for row in self._pages("contacts_page", after, self._id, status):
            values = dict(row)
            values["status"] = Status(values["status"])
            values["reason"] = Reason(values["reason"]) if values["reason"] else None
            values["intent_step"] = Step(values["intent_step"]) if values["intent_step"] else None
            values["progress"] = progress_of(values["progress"])
            yield ContactRow(**values)

    def _pages(self, name: str, after: int, *where: Any) -> Iterator[sqlite3.Row]:
        return _pages(self._connection, self._path, name, after, *where)


def lineage_rows(path: Path, campaign: str | None, after: int) -> Iterator[LineageRow]:
    """Yield the lineage rows of a campaign, or of all, with ids above ``after``, in their order.

    Each page is one short read, which does not delay a daemon.

    Raises:
        LedgerError: the ledger cannot be read, or there is no such campaign.

    """
    with read_connection(path) as connection:
        find_campaigns(connection, campaign, path)
        yield from map(lineage_row, _pages(connection, path, "lineage_page", after, campaign))


def _pages(
    connection: sqlite3.Connection, path: Path, name: str, after: int, *where: Any
) -> Iterator[sqlite3.Row]:
    while True:
        with translated_errors(path):
            page = connection.execute(SQL[name], (after, *where, _PAGE)).fetchall()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]["id"]


def lineage_row(row: sqlite3.Row) -> LineageRow:
    """Return a row of the view ``lineage_row``."""
    values = dict(row)
    values["relation"] = Relation(values["relation"])
    values["reason"] = Reason(values["reason"])
    values["attributes"] = orjson.loads(values["attributes"] or "{}")
    return LineageRow(**values)
