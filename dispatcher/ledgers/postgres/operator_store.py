"""A ledger's database as a command of an operator has it, beside runs or without one."""

import os
import platform
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from dispatcher.ledgers.postgres.address import PostgresAddress, load_psycopg
from dispatcher.ledgers.postgres.erase import erase_person
from dispatcher.ledgers.postgres.integrity import check_integrity
from dispatcher.ledgers.postgres.operator_connection import OperatorConnection
from dispatcher.ledgers.postgres.orders import carry_out
from dispatcher.ledgers.postgres.pages import read_page
from dispatcher.ledgers.postgres.prune import prune_ledger
from dispatcher.ledgers.postgres.questions import answer_question
from dispatcher.ledgers.postgres.registration import mark_restored
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_all, transaction
from dispatcher.ports import SOCKET_OFF, CommandError, LedgerLockedError
from dispatcher.ports.care import (
    Care,
    ErasureTarget,
    IntegrityFinding,
    PruneOrder,
    ReportProgress,
    ignore_progress,
)
from dispatcher.ports.orders import (
    ApproveOrder,
    DropOrder,
    Order,
    OrderAnswer,
    ReplayOrder,
)
from dispatcher.ports.questions import Page, PagedRows, Question

if TYPE_CHECKING:
    from psycopg import Connection

A = TypeVar("A")
R = TypeVar("R")

_SOCKET_SECONDS = 1.0
ATTEMPTS = 3
"""How often an order is carried out at most that the server rolls back for a conflict."""


class Run(NamedTuple):
    """A run that has campaigns of the ledger."""

    name: str
    host: str
    socket: str
    campaigns: list[str]


class PostgresOperatorStore:
    """The ledger at ``address``. Use it with ``with`` to keep its connection.

    Runs go on beside each command: an order is written into the database, and they look for it.
    Only what a run has in its memory, it must do itself.
    """

    def __init__(self, address: PostgresAddress) -> None:
        self._address = address
        self._kept: OperatorConnection | None = None
        self._keeps = False

    def __enter__(self) -> Self:
        self._keeps = True
        return self

    def __exit__(self, *_: object) -> None:
        self._keeps = False
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @property
    def name(self) -> str:
        """The URL without its options."""
        return self._address.name

    def order(self, order: Order) -> OrderAnswer:
        """Carry out an order in one transaction; see `OperatorStore`.

        Raises:
            CommandError: the order is wrong, or only a run on another machine can carry it out;
                nothing was changed.
            LedgerLockedError: a run on this machine must carry it out.
            LedgerError: there is no ledger, or it cannot be written.

        """
        with self._connected() as connection:
            self._leave_to_run(connection, order)
            return self._carry_out(connection, order)

    def _carry_out(self, connection: "Connection[Any]", order: Order) -> OrderAnswer:
        errors = load_psycopg().errors
        for _ in range(ATTEMPTS - 1):
            try:
                with transaction(connection):
                    return carry_out(connection, order, time.time())
            except (errors.DeadlockDetected, errors.SerializationFailure):
                continue
        with transaction(connection):
            return carry_out(connection, order, time.time())

    def _leave_to_run(self, connection: "Connection[Any]", order: Order) -> None:
        """Raise the error of an order that a run on this machine should carry out, if there is one.

        It answers when it has done so. Runs elsewhere look for the order in the ledger.
        """
        selected = order.selection if isinstance(order, ReplayOrder | DropOrder) else order
        campaign = selected.campaign
        runs = [run for run in find_runs(connection) if campaign in (None, *run.campaigns)]
        here = [run for run in runs if run.host == platform.node() and _is_there(run.socket)]
        if len(runs) == 1 and here:
            raise locked_by(self._address, runs[0])
        if isinstance(order, ApproveOrder) and runs:
            where = ", ".join(f"{run.name} on {run.host}" for run in runs)
            raise CommandError(
                f"only the run that is halted can do it: {where}. Repeat the command there, with "
                "--campaign if several runs use this ledger"
            )

    def look(self, question: Question[A]) -> A:
        """Return the answer to a question, from a snapshot.

        Raises:
            CommandError: the question names something that the ledger does not have.
            LedgerError: there is no ledger, or it cannot be read.

        """
        with self._connected(read_only=True) as connection:
            return answer_question(connection, question)

    def page(self, rows: PagedRows[R], cursor: str) -> Page[R]:
        """Return the rows after a cursor; each page is one short read.

        Raises:
            CommandError: the cursor is not one of this ledger.
            LedgerError: there is no ledger, no such campaign, or it cannot be read.

        """
        with self._connected(read_only=True) as connection:
            return read_page(connection, self._address, rows, cursor)

    def tend(self, care: Care[A], report: ReportProgress = ignore_progress) -> A:
        """Prune or erase, beside runs; see `OperatorStore`.

        Raises:
            CommandError: it is something that only a ledger in a file can do.
            LedgerError: there is no ledger, no such campaign, or it cannot be used.

        """
        found: Any
        with self._connected() as connection:
            match care:
                case PruneOrder():
                    found = prune_ledger(connection, self._address, care, report)
                case ErasureTarget():
                    now = time.time()
                    found = erase_person(connection, self._address, care, now, report)
                case _:
                    raise TypeError(f"no care of this store: {care!r}")
        result: A = found
        return result

    def verify(self, *, quick: bool = False) -> Iterator[IntegrityFinding]:
        """Run the checks and yield each finding; see `check_integrity`."""
        with self._connected(read_only=True) as connection:
            yield from check_integrity(connection, quick=quick)

    def runs_beside(self) -> list[str]:
        """Return the names of the runs that have campaigns, with their machines."""
        with self._connected(read_only=True) as connection:
            return [f"{run.name} on {run.host}" for run in find_runs(connection)]

    def socket(self) -> str:
        """Return where a run on this machine takes commands; "" if it is not known."""
        with self._connected(read_only=True) as connection:
            rows = fetch_all(connection, QUESTIONS["socket"], {"host": platform.node()})
        return str(rows[0][0]) if rows else ""

    @contextmanager
    def _connected(self, *, read_only: bool = False) -> Iterator["Connection[Any]"]:
        opened = self._kept if read_only else None
        if opened is None:
            opened = OperatorConnection(self._address, read_only=read_only)
            if self._keeps and read_only:
                self._kept = opened
        try:
            with opened.errors() as connection:
                yield connection
        finally:
            if opened is not self._kept:
                opened.close()


def find_runs(connection: "Connection[Any]") -> list[Run]:
    """Return the runs that have campaigns and whose leases have not run out, the latest first."""
    return [Run(*row) for row in fetch_all(connection, QUESTIONS["runs"])]


def record_restored_database(address: PostgresAddress) -> None:
    """Record that a ledger was restored; see `mark_restored`.

    Raises:
        LedgerLockedError: a run works on it.
        LedgerError: there is no ledger, or it cannot be written.

    """
    opened = OperatorConnection(address)
    try:
        with opened.errors() as connection, transaction(connection):
            if runs := find_runs(connection):
                raise locked_by(address, runs[0])
            mark_restored(connection)
    finally:
        opened.close()


def locked_by(address: PostgresAddress, run: Run) -> LedgerLockedError:
    """Return the error that a run works on the ledger: it must do it, or must end first."""
    is_here = run.host == platform.node()
    pid = run.name.rpartition("-")[2] or run.name
    words = f"ledger {address.name}: the dispatcher {run.name} on {run.host} works on it"
    holder = pid if is_here else f"{pid} on {run.host}"
    return LedgerLockedError(words, holder, run.socket if is_here else "")


def _is_there(path: str) -> bool:
    """Return whether a run listens there, for this user; the socket of a killed one may be left."""
    if path in ("", SOCKET_OFF):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_SOCKET_SECONDS)
        return client.connect_ex(os.fsencode(path)) == 0
