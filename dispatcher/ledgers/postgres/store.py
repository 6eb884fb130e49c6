"""The store of a run in a database, which other runs use too."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import structlog

from dispatcher.drivers.threads import call_in_thread
from dispatcher.ledgers.postgres import campaign_rows, reads
from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error
from dispatcher.ledgers.postgres.availability import Availability
from dispatcher.ledgers.postgres.known_state import KnownStateRecorder, StateFile
from dispatcher.ledgers.postgres.leases import LeaseTenure, try_take
from dispatcher.ledgers.postgres.ledger import PostgresLedger, StoredCampaign
from dispatcher.ledgers.postgres.lineage_log import PostgresLineageLog
from dispatcher.ledgers.postgres.lost_commits import Loss
from dispatcher.ledgers.postgres.migrations import check_schema, has_older_functions, migrate
from dispatcher.ledgers.postgres.notice_log import PostgresNoticeLog
from dispatcher.ledgers.postgres.older_ids import find_older_ids
from dispatcher.ledgers.postgres.orders import carry_out
from dispatcher.ledgers.postgres.pages import read_page
from dispatcher.ledgers.postgres.questions import answer_question
from dispatcher.ledgers.postgres.reader import PostgresReader
from dispatcher.ledgers.postgres.registration import register_location
from dispatcher.ledgers.postgres.server_check import check_server
from dispatcher.ledgers.postgres.session import Session
from dispatcher.ledgers.postgres.text import escaped
from dispatcher.ledgers.postgres.writer import PostgresWriter
from dispatcher.ports import HeldLease, Lease, LeaseKind, Recovered
from dispatcher.ports.orders import Order, OrderAnswer
from dispatcher.ports.questions import Page, PagedRows, Question

if TYPE_CHECKING:
    from psycopg import Connection

A = TypeVar("A")
R = TypeVar("R")

_SOCKET_SECONDS = 2.0
_STANDBY_SECONDS = 1.0
_TAKE_UP = "SELECT dispatcher.take_up(%s, %s, %s)"
_RECORD_SOCKET = "UPDATE dispatcher.daemon SET socket = %s WHERE id = %s"


class _Opened:
    """What `PostgresStore.open` finds out in its thread."""

    def __init__(
        self, address: PostgresAddress, now: Callable[[], float], name: str, *, adopt: bool
    ) -> None:
        self.created = False
        self.adopted: str | None = None
        self.last_id = 0
        self.address = address
        self.availability = Availability(address)
        self.tenure = LeaseTenure(address.lease_seconds)
        self.state_file = StateFile(address.state_file)
        self.session = Session(address, self.tenure, self.availability, self._lost)
        self._now, self._adopt = now, adopt
        try:
            self.session.open(name, self._prepare, patient=adopt)
        except BaseException:
            self.session.close()
            raise

    def _prepare(self, connection: "Connection[Any]") -> None:
        check_server(connection, self.address)
        self.created = not check_schema(connection, self.address)
        if self.created or has_older_functions(connection):
            migrate(connection, self.address)
        self.adopted = register_location(connection, self.address, self._now(), adopt=self._adopt)
        self.last_id = reads.last_id(connection)

    def _lost(self, loss: Loss) -> None:
        """Report a loss, which pauses all campaigns. The next run is not to refuse the ledger."""
        self.state_file.forget()
        _log_lost(loss)


class PostgresStore:
    """The ledgers of a run's campaigns, in one database. Use `open` to create it."""

    def __init__(self, opened: _Opened, now: Callable[[], float]) -> None:
        self.adopted, self.created = opened.adopted, opened.created
        self.tenure = opened.tenure
        """For how long this run may begin sends."""
        self._address, self._now = opened.address, now
        self._availability = opened.availability
        self._session = opened.session
        self._session.only_looks = True  # it has no lease
        self._opened = now(), opened.last_id
        self._changed = asyncio.Event()
        self._writer = PostgresWriter(opened.address, opened.session, self._changed.set)
        self._reader = PostgresReader(opened.address, opened.availability)
        self._recorder = KnownStateRecorder(opened.state_file, self._writer, lambda: self._me)
        self._leases: set[Lease] = set()
        self._ledgers: dict[str, tuple[int, PostgresLedger]] = {}

    @classmethod
    async def open(
        cls,
        address: PostgresAddress,
        *,
        now: Callable[[], float] = time.time,
        adopt: bool = False,
        name: str = "",
    ) -> Self:
        """Connect to a database; an empty one becomes a ledger. It has no campaign and no lease.

        ``name`` is that of this run for people; by default it is made of host and process.

        Raises:
            CopiedLedgerError: it is a copy, and ``adopt`` is False.
            LedgerAwayError: the server does not answer now, or cannot be written.
            LedgerError: it cannot be used; the message says what to do.

        """
        work = partial(_Opened, address, now, name, adopt=adopt)
        opening = asyncio.ensure_future(call_in_thread(work))
        try:
            opened = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unused)
            raise
        return cls(opened, now)

    @property
    def _me(self) -> int:
        return self._session.me

    @property
    def away_since(self) -> float | None:
        """Since when the server does not answer (seconds since the epoch); None: it answers."""
        return self._availability.away_since

    @property
    def away_reason(self) -> str:
        """What failed at last while the server does not answer; empty: it answers."""
        return self._availability.away_reason

    async def try_take(self, leases: Sequence[Lease]) -> Sequence[HeldLease]:
        """Take all of the leases or none; return those that other runs have; see `Store`."""
        held = await self._writer.job(partial(self._take, leases=leases))
        if not held:
            self._leases.update(leases)
        return held

    def _take(self, connection: "Connection[Any]", leases: Sequence[Lease]) -> Sequence[HeldLease]:
        held = try_take(connection, self._address, self._me, leases)
        if not held:
            self._session.note_change()
            self._session.only_looks = False
        return held

    async def orders_changed(self) -> None:
        """Return when an order was carried out that another process wrote into the store."""
        await self._changed.wait()
        self._changed.clear()

    async def campaign(self, name: str) -> PostgresLedger:
        """Return the ledger of a campaign. Add the campaign if the store does not have it.

        Its lease is taken if it was not yet.

        Raises:
            LedgerError: another run has the campaign.

        """
        if name not in self._ledgers:
            lease = Lease(LeaseKind.CAMPAIGN, name)
            if lease not in self._leases and (held := await self.try_take([lease])):
                raise ledger_error(
                    self._address,
                    f"campaign {name!r} is sent by {held[0].daemon} on {held[0].host}",
                )
            campaign = await self._writer.job(partial(_open_campaign, name=name, now=self._now()))
            if name not in self._ledgers:
                ledger = PostgresLedger(
                    self._writer, self._reader, campaign, self._me, self._opened, self._now
                )
                self._ledgers[name] = campaign.id, ledger
        return self._ledgers[name][1]

    def lineage_log(self) -> PostgresLineageLog:
        """Return the lineage of all campaigns, for sinks."""
        return PostgresLineageLog(self._writer, self._reader, self._me)

    def notice_log(self) -> PostgresNoticeLog:
        """Return the notices for web servers that have not taken them yet."""
        return PostgresNoticeLog(self._writer)

    async def take_up(self) -> Mapping[str, Recovered]:
        """Take up what ended runs left in the campaigns that are open here; see `Store`."""
        return {
            name: await self._writer.job(
                partial(_take_up, me=self._me, campaign=id_, now=self._now())
            )
            for name, (id_, _) in self._ledgers.items()
        }

    async def order(self, order: Order) -> OrderAnswer:
        """Carry out an order in one transaction; see `Store`."""

        def change(connection: "Connection[Any]") -> OrderAnswer:
            self._session.note_change()
            return carry_out(connection, order, self._now(), me=self._me)

        return await self._writer.job(change)

    async def look(self, question: Question[A]) -> A:
        """Return the answer to a question; see `Store`."""
        return await self._reader.read(partial(answer_question, question=question))

    async def page(self, rows: PagedRows[R], cursor: str) -> Page[R]:
        """Return the rows after a cursor. It does not delay other calls; see `Store`."""
        return await self._reader.read(
            partial(read_page, address=self._address, rows=rows, cursor=cursor)
        )

    def record_socket(self, path: str) -> None:
        """Record where the run takes commands; return when that is written, or soon."""
        values = (escaped(path), self._me)
        written = self._writer.job_in_thread(
            lambda connection: connection.execute(_RECORD_SOCKET, values)
        )
        written.wait(_SOCKET_SECONDS)

    async def close(self) -> None:
        """Write what is queued, give the leases back, and close the connections.

        A standby has neither written nor taken anything, so it does not wait for a server that does
        not answer. Its threads end with the process.
        """
        closing = asyncio.ensure_future(self._close())
        await asyncio.wait([closing], timeout=None if self._leases else _STANDBY_SECONDS)
        if closing.done():
            closing.result()

    async def _close(self) -> None:
        await self._recorder.close()
        await self._reader.close()


def _open_campaign(connection: "Connection[Any]", name: str, now: float) -> StoredCampaign:
    id_ = campaign_rows.ensure_campaign(connection, name, now)
    return StoredCampaign(name, id_, find_older_ids(connection, id_))


def _take_up(connection: "Connection[Any]", me: int, campaign: int, now: float) -> Recovered:
    row = connection.execute(_TAKE_UP, (me, campaign, now)).fetchone()
    assert row is not None  # noqa: S101 - it returns one row
    return Recovered(*row[0])


def _log_lost(loss: Loss) -> None:
    """Log a loss, and name each contact of it in a line of its own."""
    log = structlog.get_logger("dispatcher")
    log.error(
        "ledger.loss",
        commits=loss.commits,
        contacts=len(loss.contacts),
        unnamed_commits=loss.unnamed,
        detail="all campaigns are paused; see docs/high-availability.md",
    )
    for contact in loss.contacts:
        log.error(
            "ledger.lost_commit",
            campaign=contact.campaign,
            contact_key=contact.key,
            contact_id=contact.id or None,
        )


def _close_unused(opening: "asyncio.Future[_Opened]") -> None:
    """Close a store whose caller was cancelled while it was opened."""
    if not opening.cancelled() and opening.exception() is None:
        session = opening.result().session

        def close() -> None:
            with suppress(Exception):  # the leases run out by themselves
                session.leave()
            session.close()

        threading.Thread(target=close, daemon=True).start()
