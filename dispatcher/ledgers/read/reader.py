"""Looking into a ledger without holding anything up: read-only, and only for a moment."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import orjson

from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers import totals as sums
from dispatcher.ledgers.codec import progress_of
from dispatcher.ledgers.errors import ledger_error, translate_error
from dispatcher.ledgers.read.rows import ContactRow, LineageRow, StoredRejectedRow
from dispatcher.ledgers.schema import MIGRATIONS, check_identity
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import Backlog, Position, Totals

_PAGE = 1000
_BUSY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """How one campaign stands; ``positions`` are by fingerprint."""

    campaign: str
    totals: Totals
    backlog: Backlog
    positions: Mapping[str, Position]


def read_status(
    path: str | Path, campaign: str | None = None, *, now: float
) -> tuple[CampaignStatus, ...]:
    """Tell how ``campaign`` stands, or every campaign of the ledger, in their order.

    Works while a daemon runs and while none does. ``now`` is in seconds since the epoch.

    Raises:
        LedgerError: there is no ledger, no such campaign, or it cannot be read.

    """
    path = Path(path)
    with closing(open_for_reading(path)) as connection:
        try:
            names = _names(connection, path, campaign)
            return tuple(_status(connection, name, now) for name in names)
        except sqlite3.Error as error:
            raise translate_error(path, error) from None


@contextmanager
def ledger_reader(path: Path) -> Iterator[sqlite3.Connection]:
    """Read the ledger as of one moment; a dispatcher that runs is not disturbed.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    with closing(open_for_reading(path)) as connection:
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise translate_error(path, error) from None


class LedgerReader:
    """The rows of one campaign, in pages, each page one short read. Use it with ``with``.

    Raises:
        LedgerError: there is no ledger, no such campaign, or it cannot be read.

    """

    def __init__(self, path: str | Path, campaign: str) -> None:
        self._path = Path(path)
        self._campaign = campaign
        self._connection = open_for_reading(self._path)
        try:
            _names(self._connection, self._path, campaign)
            self._id = _id(self._connection, campaign)
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
        """Yield lineage rows in the order of their commits, those with an id above ``after``."""
        for row in self._pages("lineage_page", after, self._campaign):
            yield _lineage_row(row)

    def rejected(self, after: int = 0) -> Iterator[StoredRejectedRow]:
        """Yield the rejected rows in the order of the source."""
        for row in self._pages("rejected_page", after, self._id):
            yield StoredRejectedRow(**dict(row))

    def contacts(self, status: Status, after: int = 0) -> Iterator[ContactRow]:
        """Yield the contacts of one status in the order in which they were admitted."""
        for row in self._pages("contacts_page", after, self._id, status):
            values = dict(row)
            values["status"] = Status(values["status"])
            values["reason"] = Reason(values["reason"]) if values["reason"] else None
            values["intent_step"] = Step(values["intent_step"]) if values["intent_step"] else None
            values["progress"] = progress_of(values["progress"])
            yield ContactRow(**values)

    def _pages(self, name: str, after: int, *where: Any) -> Iterator[sqlite3.Row]:
        return _pages(self._connection, self._path, name, after, *where)


def _pages(
    connection: sqlite3.Connection, path: Path, name: str, after: int, *where: Any
) -> Iterator[sqlite3.Row]:
    while True:
        try:
            page = connection.execute(SQL[name], (after, *where, _PAGE)).fetchall()
        except sqlite3.Error as error:
            raise translate_error(path, error) from None
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]["id"]


def _lineage_row(row: sqlite3.Row) -> LineageRow:
    values = dict(row)
    values["relation"] = Relation(values["relation"])
    values["reason"] = Reason(values["reason"])
    values["attributes"] = orjson.loads(values["attributes"] or "{}")
    return LineageRow(**values)


def check_campaign(path: Path, campaign: str | None) -> None:
    """Make sure that a ledger can be read and, where one is named, holds a campaign.

    Raises:
        LedgerError: it cannot, or does not.

    """
    with closing(open_for_reading(path)) as connection:
        try:
            _names(connection, path, campaign)
        except sqlite3.Error as error:
            raise translate_error(path, error) from None


def lineage_rows(path: Path, campaign: str | None, after: int) -> Iterator[LineageRow]:
    """Yield lineage rows of a campaign, or of all, with ids above ``after``, in their order.

    Each page is one short read, so that a daemon that runs is not held up.

    Raises:
        LedgerError: the ledger cannot be read, or there is no such campaign.

    """
    check_campaign(path, campaign)
    with closing(open_for_reading(path)) as connection:
        name, where = ("lineage_page", (campaign,)) if campaign else ("lineage_page_of_all", ())
        for row in _pages(connection, path, name, after, *where):
            yield _lineage_row(row)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the ledger at ``path``, which this version must know, without ever writing to it.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    if not path.is_file():
        raise ledger_error(
            path, "there is no such file; check ledger.path, or run a campaign first"
        )
    try:
        return _checked(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if path.with_name(path.name + "-wal").exists():
            raise translate_error(path, error) from None
    except sqlite3.Error as error:
        raise translate_error(path, error) from None
    try:  # closed cleanly, in a directory that is read-only for this user: nobody writes to it
        return _checked(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        raise translate_error(path, error) from None


def _checked(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{how}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
    try:
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    if check_identity(connection, path) < len(MIGRATIONS):
        raise ledger_error(path, "it is of an older version or empty; a run brings it up to date")


def _names(connection: sqlite3.Connection, path: Path, wanted: str | None) -> list[str]:
    names: list[str] = orjson.loads(connection.execute(SQL["campaign_names"]).fetchone()[0])
    if wanted is None:
        return names
    if wanted not in names:
        known = ", ".join(names) or "none"
        raise ledger_error(path, f"campaign {wanted!r} is not in it; it holds: {known}")
    return [wanted]


def _id(connection: sqlite3.Connection, campaign: str) -> int:
    return int(connection.execute(SQL["campaign_id"], (campaign,)).fetchone()[0])


def _status(connection: sqlite3.Connection, name: str, now: float) -> CampaignStatus:
    """Read one campaign's sums as of one moment."""
    id_ = _id(connection, name)
    connection.execute("BEGIN")
    try:
        return CampaignStatus(
            name,
            sums.campaign_totals(connection, id_),
            sums.backlog(connection, id_, now),
            sums.positions(connection, id_),
        )
    finally:
        connection.execute("COMMIT")
