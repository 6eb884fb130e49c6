"""The store of the ledgers: a file, or a database.

A run has a `Store`. A command of an operator has an `OperatorStore`, beside a run or without one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol, Self, TypeVar

from dispatcher.ports.care import Care, IntegrityFinding, ReportProgress, ignore_progress
from dispatcher.ports.leases import HeldLease, Lease
from dispatcher.ports.ledger import Ledger
from dispatcher.ports.ledger_values import LedgerError
from dispatcher.ports.notices import NoticeLog
from dispatcher.ports.orders import Order, OrderAnswer
from dispatcher.ports.questions import Page, PagedRows, Question
from dispatcher.ports.sink import LineageLog

A = TypeVar("A")
R = TypeVar("R")

SOCKET_OFF = "off"
"""What is recorded in place of a socket's path by a run without a control socket."""


class LedgerLockedError(LedgerError):
    """A run has the store for itself; ``holder`` is its process id, or "unknown".

    ``socket`` is the path of its control socket, empty if it recorded none.
    """

    def __init__(self, message: str, holder: str, socket: str) -> None:
        super().__init__(message)
        self.holder = holder
        self.socket = socket


@dataclass(frozen=True, slots=True)
class Recovered:
    """Numbers of contacts that were made ready again, and of all that are in doubt."""

    released: int
    in_doubt: int


class Tenure(Protocol):
    """For how long a run may begin sends, by its own clock; after that it may be replaced."""

    def remaining_seconds(self) -> float:
        """Return the seconds for which the run may begin a send; ``inf``: no other can take it."""
        ...


class EndlessTenure:
    """The tenure of a run that no other run can replace while it lives, as a lock gives it."""

    def remaining_seconds(self) -> float:
        """Return infinity."""
        return inf


ENDLESS: Tenure = EndlessTenure()


class Store(Protocol):
    """What a run has open: the ledgers of its campaigns, and what is beside them.

    A method returns once its outcome is known. While the store is away it waits, and `LedgerError`
    means that the store has failed for good. Cancelling a caller does not cancel its write.
    """

    @property
    def created(self) -> bool:
        """Whether the store is new."""
        ...

    @property
    def adopted(self) -> str | None:
        """What shows that the store was a copy when it was opened; None if it was not."""
        ...

    @property
    def tenure(self) -> Tenure:
        """Whether what the run has claimed is still its own."""
        ...

    @property
    def away_since(self) -> float | None:
        """Since when the store does not answer (seconds since the epoch); None: it answers."""
        ...

    @property
    def away_reason(self) -> str:
        """What failed at last while the store does not answer; empty: it answers."""
        ...

    async def try_take(self, leases: Sequence[Lease]) -> Sequence[HeldLease]:
        """Take all of the leases or none; return those that other daemons have.

        Empty: the run has them now, until the store is closed or another daemon takes them. It
        never waits for another daemon: call it again. A store that a run has for itself has no
        leases, and returns nothing. Call `campaign` only after it.

        Raises:
            LeaseLostError: another daemon has taken what the run had.

        """
        ...

    async def orders_changed(self) -> None:
        """Return when an order was carried out that another process wrote into the store.

        Several of them count as one. It never returns if no other process can do that.
        """
        ...

    async def campaign(self, name: str) -> Ledger:
        """Return the ledger of a campaign. Add the campaign if the store does not have it."""
        ...

    def lineage_log(self) -> LineageLog:
        """Return the lineage of all campaigns, for sinks, until the store is closed."""
        ...

    def notice_log(self) -> NoticeLog:
        """Return the notices that wait for web servers, until the store is closed."""
        ...

    async def take_up(self) -> Mapping[str, Recovered]:
        """Take up what ended runs left in the campaigns that are open here; return it by campaign.

        Claimed contacts become ready. Sending contacts become in doubt, because their messages
        may have left; their look backs are due at once. Call it before any other work.
        """
        ...

    async def order(self, order: Order) -> OrderAnswer:
        """Carry out an order in one transaction.

        Raises:
            CommandError: the order is wrong, or only a run can carry it out; nothing was changed.

        """
        ...

    async def look(self, question: Question[A]) -> A:
        """Return the answer to a question.

        Raises:
            CommandError: the question names something that the store does not have.

        """
        ...

    async def page(self, rows: PagedRows[R], cursor: str) -> Page[R]:
        """Return the rows after a cursor; `BEGINNING` is before the first one.

        Raises:
            CommandError: the cursor is not one of this store.
            LedgerError: the store has no such campaign.

        """
        ...

    def record_socket(self, path: str) -> None:
        """Record where the run takes commands: the path of a socket, or `SOCKET_OFF`."""
        ...

    async def close(self) -> None:
        """Write what is queued, and leave the store to other runs."""
        ...


class OperatorStore(Protocol):
    """A store as a command of an operator has it. It never delays the run that uses the store.

    Use it with ``with`` to read pages. The methods raise `LedgerError` if there is no store, or if
    it cannot be read or written.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def name(self) -> str:
        """The store as people know it, for messages."""
        ...

    def order(self, order: Order) -> OrderAnswer:
        """Carry out an order in one transaction.

        Raises:
            LedgerLockedError: a run must carry it out, since it has the store for itself.
            CommandError: the order is wrong, or only a run can carry it out; nothing was changed.

        """
        ...

    def look(self, question: Question[A]) -> A:
        """Return the answer to a question; see `Store.look`."""
        ...

    def page(self, rows: PagedRows[R], cursor: str) -> Page[R]:
        """Return the rows after a cursor; see `Store.page`."""
        ...

    def tend(self, care: Care[A], report: ReportProgress = ignore_progress) -> A:
        """Do long work on the store, and report how much of it is done.

        Raises:
            LedgerLockedError: a run has the store for itself, and must end first.

        """
        ...

    def verify(self, *, quick: bool = False) -> Iterator[IntegrityFinding]:
        """Check the store, also beside a run, and yield each finding, also of what is sound.

        ``quick`` leaves out the comparison of indexes with their tables.
        """
        ...

    def runs_beside(self) -> Sequence[str]:
        """Return the names of the runs that work on the store now, and look for orders in it.

        Empty for a store that a run has for itself: then only the run carries orders out.
        """
        ...

    def socket(self) -> str:
        """Return where the last run takes commands, `SOCKET_OFF`, or "" if it is not known.

        The run may have ended since.
        """
        ...
