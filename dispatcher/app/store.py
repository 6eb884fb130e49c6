"""Opens the store of the ledgers. Only this module imports the two kinds of stores."""

import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import TypeVar

from dispatcher.app.secret_files import read_password
from dispatcher.engine.readonly.dry_run import LedgerView
from dispatcher.engine.readonly.lineage_check import LinkStore
from dispatcher.ledgers.copying.copy import Copier, undo
from dispatcher.ledgers.copying.copy_ledger import CopyLedger
from dispatcher.ledgers.copying.file_copy_ledger import FileCopyLedger
from dispatcher.ledgers.lineage_check import ExclusiveLinkStore
from dispatcher.ledgers.lineage_log import exclusive_lineage_log
from dispatcher.ledgers.maintenance.backup import back_up
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.dry_run_view import PostgresDryRunView
from dispatcher.ledgers.postgres.lineage_check import PostgresLinkStore
from dispatcher.ledgers.postgres.migrations import Migrated
from dispatcher.ledgers.postgres.online_check import check_database
from dispatcher.ledgers.postgres.operator_connection import has_ledger, migrate_database
from dispatcher.ledgers.postgres.operator_lineage import operator_lineage_log
from dispatcher.ledgers.postgres.operator_store import (
    PostgresOperatorStore,
    record_restored_database,
)
from dispatcher.ledgers.postgres.server_copy_ledger import ServerCopyLedger
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.read.dry_run_view import DryRunView
from dispatcher.ledgers.registration import OpenOptions, adopt_ledger
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import LedgerError, OperatorStore, SourceError, Store
from dispatcher.ports.care import IntegrityFinding, ReportProgress
from dispatcher.ports.copying import Copied, ReportCopy
from dispatcher.ports.questions import BEGINNING, Page, PagedRows, UnverifiedLinks
from dispatcher.ports.sink import LineageLog
from dispatcher.settings import LedgerPlace, Settings

R = TypeVar("R")


async def open_store(settings: Settings, *, adopt: bool = False) -> Store:
    """Open the store for a run; ``adopt`` accepts one that is a copy.

    Raises:
        CopiedLedgerError: it is a copy, and ``adopt`` is False.
        LedgerError: it cannot be used, or another run has it for itself.

    """
    if settings.ledger.url:
        return await PostgresStore.open(address_of(settings.ledger_place), adopt=adopt)
    first = settings.campaigns[0].name
    options = OpenOptions(adopt, settings.ledger.allow_network_filesystem)
    return await SqliteStore.open(settings.ledger.path, first, options=options)


def operator_store(place: LedgerPlace) -> OperatorStore:
    """Return the store at a place for a command. Nothing is opened before it is used.

    Raises:
        LedgerError: the password of its database cannot be read.

    """
    if place.file is None:
        return PostgresOperatorStore(address_of(place))
    return SqliteOperatorStore(place.file)


def is_there(place: LedgerPlace) -> bool:
    """Return whether a run has made a ledger at a place.

    Raises:
        LedgerError: its server does not answer.

    """
    return place.file.exists() if place.file is not None else has_ledger(address_of(place))


def address_of(place: LedgerPlace) -> PostgresAddress:
    """Return the address of a ledger in a database, with the password.

    Raises:
        LedgerError: the password cannot be read.

    """
    ledger = place.settings

    def read() -> str:
        try:
            return read_password("ledger", ledger, place.environment)
        except SourceError as error:
            raise LedgerError(str(error)) from None

    return PostgresAddress(
        ledger.url,
        read(),
        read if ledger.password_file else None,  # a variable does not change while this runs
        pooler=ledger.pooler,
        durable=ledger.durable,
        lease_seconds=ledger.lease_seconds,
        away_seconds=ledger.away_minutes * 60,
        state_file=ledger.local_state,
    )


def pages(store: OperatorStore, rows: PagedRows[R], cursor: str = BEGINNING) -> Iterator[Page[R]]:
    """Yield the pages after a cursor, up to the rows that are there now.

    Raises:
        CommandError: the cursor is not one of this store.
        LedgerError: there is no such campaign, or the store cannot be read.

    """
    more = True
    while more:
        page = store.page(rows, cursor)
        yield page
        cursor, more = page.cursor, page.more


def back_up_file(
    place: LedgerPlace, target: Path, *, overwrite: bool, report: ReportProgress
) -> list[IntegrityFinding]:
    """Copy the file of a ledger, and return what is wrong with the copy.

    Raises:
        LedgerError: the ledger is in a database or cannot be read, or the copy cannot be written or
            exists already.

    """
    if place.file is None:
        raise LedgerError(
            f"ledger {place}: a database is backed up by the tools of its server: pg_dump --format "
            "custom for one moment, pg_basebackup and the archive of its WAL for every moment. "
            "After a restore, what was sent since that moment is not in it and would be sent "
            "again: see docs/ledger-postgres.md before the next run"
        )
    return back_up(place.file, target, overwrite=overwrite, report=report)


def adopt_file(place: LedgerPlace) -> str | None:
    """Accept a copy of a ledger's file as the ledger; return what showed that it is one.

    Raises:
        LedgerLockedError: a dispatcher has locked it.
        LedgerError: it is in a database, there is none, or it cannot be written.

    """
    if place.file is None:
        raise LedgerError(
            f"ledger {place}: only a file is adopted. A run accepts a database that was copied or "
            "restored with `dispatcher run --adopt`; take the people out of the source first who "
            "got a message since, see docs/ledger-postgres.md"
        )
    return adopt_ledger(place.file, time.time())


def record_restored(place: LedgerPlace) -> None:
    """Record that a database was restored to an earlier moment: runs refuse it until `--adopt`.

    Raises:
        LedgerLockedError: a run works on it.
        LedgerError: it is in a file, there is none, or it cannot be written.

    """
    if place.file is not None:
        raise LedgerError(
            f"ledger {place}: only a database needs this; a file that was put in the place of a "
            "newer one is recognised by its lock file, and a backup is one anywhere"
        )
    record_restored_database(address_of(place))


def copy_ledger(source: LedgerPlace, target: LedgerPlace, report: ReportCopy) -> Copied:
    """Copy a ledger from a file into a database, or back, or go on with such a copy.

    Raises:
        LedgerLockedError: a run uses one of them.
        LedgerError: both are of the same kind, one of them cannot be used, or the target is not
            empty.

    """
    _check_kinds(source, target)
    with (
        closing(_open_end(source, create=False)) as old,
        closing(_open_end(target, create=True)) as new,
    ):
        return Copier(old, new, report).copy()


def undo_copy(source: LedgerPlace, target: LedgerPlace | None) -> None:
    """Give a copy up; without ``target`` that ledger is lost.

    Raises:
        LedgerLockedError: a run uses one of them.
        LedgerError: the two are not those of one copy, one of them cannot be used, or a run has
            used the target.

    """
    with ExitStack() as stack:
        old = stack.enter_context(closing(_open_end(source, create=False)))
        if target is None:
            undo(old, None)
            return
        _check_kinds(source, target)
        undo(old, stack.enter_context(closing(_open_end(target, create=True))))


def _check_kinds(source: LedgerPlace, target: LedgerPlace) -> None:
    if (source.file is None) == (target.file is None):
        raise LedgerError(
            f"ledger {source}: it is copied from a file into a database, or back; {target} is of "
            "the same kind. Use `dispatcher ledger backup` for a file, or pg_dump and pg_restore "
            "for a database"
        )


def _open_end(place: LedgerPlace, *, create: bool) -> CopyLedger:
    if place.file is None:
        return ServerCopyLedger.open(address_of(place), create=create, now=time.time())
    allows = place.settings.allow_network_filesystem
    return FileCopyLedger.open(
        place.file, create=create, now=time.time(), allow_network_filesystem=allows
    )


def check_ledger(place: LedgerPlace) -> str | None:
    """Return in words what a run finds in a database; None for a file, which is checked otherwise.

    Raises:
        LedgerError: a run could not use it.

    """
    return None if place.file is not None else check_database(address_of(place))


def migrate_ledger(place: LedgerPlace) -> Migrated:
    """Bring the schema of a database and its functions to the newest version.

    Raises:
        LedgerError: it is in a file, which a run migrates, or it cannot be changed.

    """
    if place.file is not None:
        raise LedgerError(f"ledger {place}: a run migrates a file when it opens it")
    return migrate_database(address_of(place))


def open_links(settings: Settings, query: UnverifiedLinks) -> AbstractContextManager[LinkStore]:
    """Return the links to verify; use it with ``with``.

    Raises:
        LedgerError: a run has the store for itself, there is none, or no such campaign.

    """
    place = settings.ledger_place
    if place.file is None:
        return PostgresLinkStore(address_of(place), query)
    return ExclusiveLinkStore(place.file, query)


def open_lineage_log(settings: Settings) -> AbstractAsyncContextManager[LineageLog]:
    """Return the lineage for a sink, without a run; use it with ``async with``.

    Raises:
        LedgerLockedError: a run has the store for itself.
        LedgerError: there is none, it is a copy, or it cannot be written.

    """
    place = settings.ledger_place
    if place.file is None:
        return operator_lineage_log(address_of(place))
    options = OpenOptions(allow_network_filesystem=settings.ledger.allow_network_filesystem)
    return exclusive_lineage_log(place.file, time.time(), options)


def open_dry_run_view(settings: Settings) -> AbstractContextManager[LedgerView]:
    """Return the ledger of the campaign as a dry run sees it; use it with ``with``.

    Raises:
        LedgerError: the store is there and cannot be read.

    """
    place = settings.ledger_place
    if place.file is None:
        return PostgresDryRunView(address_of(place), settings.campaign)
    return DryRunView(place.file, settings.campaign)
