"""A ledger's file as a command of an operator has it, beside a run or without one."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from dispatcher.ledgers.errors import translated_errors
from dispatcher.ledgers.exclusive import exclusive_connection, transaction
from dispatcher.ledgers.lock import read_lock_holder
from dispatcher.ledgers.maintenance.batches import truncate_wal
from dispatcher.ledgers.maintenance.erase import erase_person
from dispatcher.ledgers.maintenance.integrity import check_integrity
from dispatcher.ledgers.maintenance.prune import prune_ledger
from dispatcher.ledgers.orders import answer_question, carry_out
from dispatcher.ledgers.read.pages import read_page
from dispatcher.ledgers.read.reader import open_for_reading, snapshot_connection
from dispatcher.ports.care import (
    Care,
    ErasureTarget,
    IntegrityFinding,
    PruneOrder,
    ReportProgress,
    ignore_progress,
)
from dispatcher.ports.orders import Order, OrderAnswer
from dispatcher.ports.questions import Page, PagedRows, Question

A = TypeVar("A")
R = TypeVar("R")


class SqliteOperatorStore:
    """The ledger at ``path``. Use it with ``with`` to read pages: it keeps their connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pages: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pages is not None:
            self._pages.close()
            self._pages = None

    @property
    def name(self) -> str:
        """The path, as messages name the ledger."""
        return str(self._path)

    def order(self, order: Order) -> OrderAnswer:
        """Carry out an order under the ledger's lock; see `OperatorStore`.

        Raises:
            CommandError: the order is wrong; nothing was changed.
            LedgerLockedError: a dispatcher has locked the ledger.
            LedgerError: there is no ledger, or it cannot be written.

        """
        with exclusive_connection(self._path) as connection, transaction(connection):
            return carry_out(connection, order, time.time())

    def look(self, question: Question[A]) -> A:
        """Return the answer to a question, from a snapshot.

        Raises:
            CommandError: the question names something that the ledger does not have.
            LedgerError: there is no ledger, or it cannot be read.

        """
        with snapshot_connection(self._path) as connection:
            return answer_question(connection, question)

    def page(self, rows: PagedRows[R], cursor: str) -> Page[R]:
        """Return the rows after a cursor; each page is one short read.

        Raises:
            CommandError: the cursor is not one of a ledger's file.
            LedgerError: there is no ledger, no such campaign, or it cannot be read.

        """
        if self._pages is None:
            self._pages = open_for_reading(self._path)
        with translated_errors(self._path):
            return read_page(self._pages, self._path, rows, cursor)

    def tend(self, care: Care[A], report: ReportProgress = ignore_progress) -> A:
        """Prune or erase; see `OperatorStore`.

        Raises:
            LedgerLockedError: a dispatcher has locked the ledger.
            LedgerError: there is no ledger, no such campaign, or it cannot be used.

        """
        found: Any
        match care:
            case PruneOrder():
                found = prune_ledger(self._path, care, report=report)
            case ErasureTarget():
                erased = erase_person(self._path, care, time.time(), report=report)
                found = replace(erased, in_log=not truncate_wal(self._path))
            case _:
                raise TypeError(f"no care of this store: {care!r}")
        result: A = found
        return result

    def verify(self, *, quick: bool = False) -> Iterator[IntegrityFinding]:
        """Run the checks and yield each finding; see `check_integrity`."""
        return check_integrity(self._path, quick=quick)

    def runs_beside(self) -> tuple[str, ...]:
        """Return nothing: a run has the file for itself."""
        return ()

    def socket(self) -> str:
        """Return the socket that the last run recorded in the lock file."""
        return read_lock_holder(self._path)[1]
