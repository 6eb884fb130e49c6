"""The ledger in a SQLite file: write-ahead log, synchronous commits, one writer."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self, TypeVar

from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.domain.status import SendBlock
from dispatcher.ledgers import campaigns, opening, totals
from dispatcher.ledgers.codec import intent_change
from dispatcher.ledgers.contact_changes import ContactChanges
from dispatcher.ledgers.due_count import DueCount
from dispatcher.ledgers.file_state import FileState
from dispatcher.ledgers.lineage_log import SqliteLineageLog
from dispatcher.ledgers.notice_log import SqliteNoticeLog
from dispatcher.ledgers.orders import answer_question, carry_out
from dispatcher.ledgers.read.earlier_waits import earlier_waits
from dispatcher.ledgers.registration import STRICT, OpenOptions
from dispatcher.ledgers.state_recorder import StateRecorder
from dispatcher.ledgers.write import admission, claims, in_doubt
from dispatcher.ledgers.write.lookup_ahead import LookupAhead
from dispatcher.ledgers.write.writer import Writer
from dispatcher.ports import (
    Admitted,
    Backlog,
    Batch,
    Claim,
    InDoubtContact,
    Intent,
    KnownEffects,
    Overview,
    Recovered,
    Stream,
    Totals,
    Waits,
)
from dispatcher.ports.orders import Order, OrderAnswer
from dispatcher.ports.questions import Question

A = TypeVar("A")


class SqliteLedger(ContactChanges):
    """The contacts of one campaign in a ledger's file. Use `open` to create it.

    An operation that the contact's status does not permit (for example an intent for a contact
    that is not claimed) raises `LedgerError` and changes nothing. Times are in seconds since the
    epoch.
    """

    _writer: Writer

    def __init__(self, opened: opening.OpenedLedger, now: Callable[[], float]) -> None:
        exclusive, campaign, last_id = opened.exclusive, opened.campaign, opened.last_id
        self._lock = exclusive.lock
        self._campaign = campaign
        self._ids = count(last_id + 1)
        self._now = now
        self._path = exclusive.path
        self._file = FileState(exclusive.path)
        self._due_count = DueCount()
        self._last_id, self._opened_at = last_id, now()
        self._readings: list[asyncio.Future[Sequence[Waits]]] = []
        self._lookup_ahead = LookupAhead(exclusive.path)
        self._writer = Writer(exclusive.connection, exclusive.path, self._lookup_ahead.merge)
        self._opener = True
        self._recorder = StateRecorder(exclusive.lock, self._writer)
        self.adopted = opened.adopted
        """What shows that the ledger was a copy when it was opened; None if it was not."""
        self.created = opened.created
        """Whether the file is new."""

    @classmethod
    async def open(
        cls,
        path: str | Path,
        campaign: str,
        *,
        now: Callable[[], float] = time.time,
        options: OpenOptions = STRICT,
    ) -> Self:
        """Lock and open the ledger at ``path``. Create the file if it does not exist.

        Raises:
            CopiedLedgerError: it is a copy, and ``options`` does not adopt it.
            LedgerError: another process has locked it, or it cannot be used; the message says
                what to do.

        """
        work = partial(opening.open_ledger, Path(path), campaign, now(), options)
        opens = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            opened = await asyncio.shield(opens)
        except asyncio.CancelledError:
            opens.add_done_callback(opening.close_unused)
            raise
        return cls(opened, now)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def for_campaign(self, campaign: str) -> Self:
        """Return another campaign of the same file. It is closed when this ledger is closed.

        Raises:
            LedgerError: the ledger is closed or has failed.

        """
        id_ = await self._writer.job(
            partial(campaigns.ensure_campaign, name=campaign, now=self._now())
        )
        other = copy(self)
        other._campaign, other._opener = id_, False  # noqa: SLF001 - a copy of its own kind
        other._due_count = DueCount()  # noqa: SLF001 - a copy of its own kind
        other._file = FileState(self._path)  # noqa: SLF001 - as above
        return other

    async def close(self) -> None:
        """Write what is queued, close the file and release the lock."""
        if not self._opener:
            return
        await self._recorder.close()
        # both before the writer: the last connection removes the log, if it may write
        await asyncio.gather(*self._readings, return_exceptions=True)
        await self._lookup_ahead.close()
        await self._writer.close()
        self._lock.release()

    async def recover(self) -> Recovered:
        """Recover what an earlier run left behind. Call it once, before any other work.

        Claimed contacts become ready. Sending contacts become in doubt, because their messages
        may have left; their look backs are due at once.
        """
        return await self._writer.job(
            partial(claims.recover, campaign=self._campaign, now=self._now())
        )

    def record_socket(self, path: str) -> None:
        """Record the path of our control socket in the lock file."""
        self._lock.record_socket(path)

    async def order(self, order: Order) -> OrderAnswer:
        """Carry out an operator's order in one transaction; see `Store`."""
        return await self._writer.job(partial(carry_out, order=order, now=self._now()))

    async def look(self, question: Question[A]) -> A:
        """Return the answer to a question; see `Store`."""
        return await self._writer.job(partial(answer_question, question=question))

    async def streams(self) -> Mapping[str, Stream]:
        """Return how far each stream of the campaign was read, by fingerprint."""
        return await self._writer.job(partial(totals.streams, campaign=self._campaign))

    async def admit(self, batch: Batch, now: float, claim_limit: int) -> Admitted:
        """Write new contacts, rejected rows and the place of the stream in one transaction.

        Raises:
            StreamMovedError: the ledger has another place of the stream than the batch follows.

        """
        lookup = await self._lookup_ahead.look_up(self._campaign, batch.contacts)
        claiming = admission.ClaimOptions(now, claim_limit, lookup)
        admitted = await self._writer.job(
            lambda connection: admission.admit(
                connection, self._campaign, self._ids, batch, claiming
            )
        )
        self._lookup_ahead.remember_absent(admitted.claims, lookup)
        return admitted

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Take up to ``limit`` ready contacts that are due, the earliest due first."""
        found = await self._writer.job(
            partial(claims.claim, campaign=self._campaign, limit=limit, now=now)
        )
        return await self._with_blocks(found)

    async def claim_early(self, ids: Sequence[int]) -> Sequence[Claim]:
        """Claim those of the contacts that are ready, although they are not due yet."""
        found = await self._writer.job(
            partial(claims.claim_early, campaign=self._campaign, ids=ids)
        )
        return await self._with_blocks(found)

    async def _with_blocks(self, found: Sequence[Claim]) -> Sequence[Claim]:
        blocks = await self._lookup_ahead.blocks([claim.id for claim in found])
        return claims.fill_blocks(found, blocks)

    async def intend(self, intent: Intent) -> SendBlock | None:
        """Turn a claimed contact into a sending one, or return why that is not permitted."""
        return await self._writer.change(
            intent_change(intent, self._lookup_ahead.pop_absence(intent))
        )

    async def due_in_doubt(self, limit: int, now: float) -> Sequence[InDoubtContact]:
        """Return up to ``limit`` contacts in doubt whose look back is due, the earliest first."""
        return await self._writer.job(
            partial(in_doubt.due_in_doubt, campaign=self._campaign, limit=limit, now=now)
        )

    async def look_back_times(self, limit: int) -> Sequence[float]:
        """Return when up to ``limit`` contacts in doubt are due for a look, the earliest first."""
        return await self._writer.job(
            partial(in_doubt.look_back_times, campaign=self._campaign, limit=limit)
        )

    async def known_effects(
        self,
        conversations: Sequence[str],
        since: float,
        external_contact_ids: Sequence[str] = (),
    ) -> KnownEffects:
        """Return what is known about conversations and people; see `Ledger`."""
        return await self._writer.job(
            partial(
                in_doubt.known_effects,
                conversations=conversations,
                since=since,
                external_contact_ids=external_contact_ids,
            )
        )

    async def recent_conversations(self, now: float, limit: int) -> Sequence[str]:
        """Return conversations of which the platform may have new records; see `Ledger`."""
        return await self._writer.job(
            partial(in_doubt.recent_conversations, campaign=self._campaign, now=now, limit=limit)
        )

    async def witnesses(self, after: float, limit: int) -> Sequence[DeliveryWitness]:
        """Return the first messages that the platform took after a time, in all campaigns."""
        return await self._writer.job(partial(in_doubt.witnesses, after=after, limit=limit))

    async def backlog(self, now: float) -> Backlog:
        """Count the contacts that are ready, claimed or sending."""
        return await self._writer.job(partial(totals.backlog, campaign=self._campaign, now=now))

    async def totals(self) -> Totals:
        """Return the totals of the campaign."""
        return await self._writer.job(partial(totals.campaign_totals, campaign=self._campaign))

    async def overview(self, now: float) -> Overview:
        """Return backlog and totals of the same moment, and the state of the ledger's file."""
        return await self._writer.job(partial(self._overview, now=now))

    async def earlier_waits(self, now: float) -> Sequence[Waits]:
        """Return why contacts wait that an earlier run has put off; see `Ledger`."""
        read = partial(
            earlier_waits, self._path, self._campaign, now, self._opened_at, self._last_id
        )
        reading = asyncio.ensure_future(asyncio.to_thread(read))
        self._readings.append(reading)
        return await asyncio.shield(reading)

    def _overview(self, connection: sqlite3.Connection, now: float) -> Overview:
        sums = totals.campaign_totals(connection, self._campaign)
        backlog = totals.backlog_of(connection, self._campaign, now, sums, self._due_count)
        return Overview(backlog, sums, self._file.measure(self._writer.commit_times))

    def lineage_log(self) -> SqliteLineageLog:
        """Return the lineage of all campaigns, for sinks. It ends when this ledger is closed."""
        return SqliteLineageLog(self._writer, self._path)

    def notice_log(self) -> SqliteNoticeLog:
        """Return the notices for web servers. It ends when this ledger is closed."""
        return SqliteNoticeLog(self._writer)

    async def paused(self) -> float | None:
        """Return since when the campaign is paused, None if it is not."""
        return await self._writer.job(partial(campaigns.paused_since, campaign=self._campaign))

    async def pause(self, now: float) -> None:
        """Pause the campaign from ``now`` on. If it is paused already, the earlier time stays."""
        await self._writer.job(partial(campaigns.pause, campaign=self._campaign, now=now))

    async def resume(self) -> None:
        """Resume the campaign."""
        await self._writer.job(partial(campaigns.resume, campaign=self._campaign))
