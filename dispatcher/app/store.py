"""Opens the store of the ledgers. Only this module knows of what kind it is."""

import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from dispatcher.ledgers.lineage_check import ExclusiveLinkStore
from dispatcher.ledgers.lineage_log import exclusive_lineage_log
from dispatcher.ledgers.maintenance.backup import back_up
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.read.dry_run_view import DryRunView
from dispatcher.ledgers.registration import OpenOptions, adopt_ledger
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import OperatorStore, Store
from dispatcher.ports.care import IntegrityFinding, ReportProgress
from dispatcher.ports.questions import BEGINNING, Page, PagedRows, UnverifiedLinks
from dispatcher.ports.sink import LineageLog
from dispatcher.settings import Settings

R = TypeVar("R")


async def open_store(settings: Settings, *, adopt: bool = False) -> Store:
    """Open the store for a run; ``adopt`` accepts one that is a copy.

    Raises:
        CopiedLedgerError: it is a copy, and ``adopt`` is False.
        LedgerError: it cannot be used, or another run has it for itself.

    """
    options = OpenOptions(adopt, settings.ledger.allow_network_filesystem)
    first = settings.campaigns[0].name
    return await SqliteStore.open(settings.ledger.path, first, options=options)


def operator_store(path: Path) -> OperatorStore:
    """Return the store at ``path`` for a command. Nothing is opened before it is used."""
    return SqliteOperatorStore(path)


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
    path: Path, target: Path, *, overwrite: bool, report: ReportProgress
) -> list[IntegrityFinding]:
    """Copy the file of a ledger, and return what is wrong with the copy.

    Only a file has it: a database server has tools of its own.

    Raises:
        LedgerError: the ledger cannot be read, or the copy cannot be written or exists already.

    """
    return back_up(path, target, overwrite=overwrite, report=report)


def adopt_file(path: Path) -> str | None:
    """Accept a copy of a ledger's file as the ledger; return what showed that it is one.

    Raises:
        LedgerLockedError: a dispatcher has locked it.
        LedgerError: there is no ledger, or it cannot be written.

    """
    return adopt_ledger(path, time.time())


def open_links(settings: Settings, query: UnverifiedLinks) -> ExclusiveLinkStore:
    """Return the links to verify; use it with ``with``.

    Raises:
        LedgerError: a run has the store for itself, there is none, or no such campaign.

    """
    return ExclusiveLinkStore(settings.ledger.path, query)


def open_lineage_log(settings: Settings) -> AbstractAsyncContextManager[LineageLog]:
    """Return the lineage for a sink, without a run; use it with ``async with``.

    Raises:
        LedgerLockedError: a run has the store for itself.
        LedgerError: there is none, it is a copy, or it cannot be written.

    """
    options = OpenOptions(allow_network_filesystem=settings.ledger.allow_network_filesystem)
    return exclusive_lineage_log(settings.ledger.path, time.time(), options)


def open_dry_run_view(settings: Settings) -> DryRunView:
    """Return the ledger of the campaign as a dry run sees it; use it with ``with``.

    Raises:
        LedgerError: the store is there and cannot be read.

    """
    return DryRunView(settings.ledger.path, settings.campaign)
