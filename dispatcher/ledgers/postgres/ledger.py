"""The ledger of one campaign in a database."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatcher.domain.events import LedgerState
from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.domain.status import SendBlock, Status
from dispatcher.ledgers.codec import intent_change
from dispatcher.ledgers.contact_changes import ContactChanges
from dispatcher.ledgers.due_count import DueCount
from dispatcher.ledgers.postgres import admission, campaign_rows, reads, totals
from dispatcher.ledgers.postgres.admission import ClaimLimit
from dispatcher.ledgers.postgres.older_ids import OlderIds
from dispatcher.ledgers.postgres.reader import PostgresReader
from dispatcher.ledgers.postgres.statements import snapshot
from dispatcher.ledgers.postgres.writer import PostgresWriter
from dispatcher.ledgers.write.commit_times import CommitTimes
from dispatcher.ports import (
    Admitted,
    Backlog,
    Batch,
    Claim,
    InDoubtContact,
    Intent,
    KnownEffects,
    Overview,
    Stream,
    Totals,
    Waits,
)

if TYPE_CHECKING:
    from psycopg import Connection


class StoredCampaign(NamedTuple):
    """A campaign by its name and its id, and whether it may have ids in upper case."""

    name: str
    id: int
    older_ids: OlderIds


class PostgresLedger(ContactChanges):
    """The contacts of one campaign; see `Ledger`. It belongs to a `PostgresStore`."""

    _writer: PostgresWriter

    def __init__(
        self,
        writer: PostgresWriter,
        reader: PostgresReader,
        campaign: StoredCampaign,
        me: int,
        opened: tuple[float, int],
        now: Callable[[], float],
    ) -> None:
        self._writer, self._reader = writer, reader
        self._name, self._campaign, self._older_ids = campaign
        self._me, self._now = me, now
        self._opened_at, self._last_id = opened
        self._due_count = DueCount()
        self._commits = CommitTimes()

    async def streams(self) -> Mapping[str, Stream]:
        """Return how far each stream of the campaign was read, by fingerprint."""
        return await self._reader.read(partial(totals.streams, campaign=self._campaign))

    async def admit(self, batch: Batch, now: float, claim_limit: int) -> Admitted:
        """Write new contacts, rejected rows and the place of the stream in one transaction.

        Raises:
            StreamMovedError: the ledger has another place of the stream than the batch follows.

        """
        return await self._writer.job(
            partial(
                admission.admit,
                me=self._me,
                campaign=self._campaign,
                batch=batch,
                claiming=ClaimLimit(claim_limit, now),
                older=self._older_ids,
            ),
            self._name,
        )

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Claim up to ``limit`` ready contacts that are due, the earliest due first."""
        return await self._writer.job(
            partial(
                admission.claim,
                me=self._me,
                campaign=self._campaign,
                claiming=ClaimLimit(limit, now),
            ),
            self._name,
        )

    async def claim_early(self, ids: Sequence[int]) -> Sequence[Claim]:
        """Claim those of the contacts that are ready, although they are not due yet."""
        return await self._writer.job(
            partial(
                admission.claim,
                me=self._me,
                campaign=self._campaign,
                claiming=ClaimLimit(len(ids), 0.0),
                ids=ids,
            ),
            self._name,
        )

    async def intend(self, intent: Intent) -> SendBlock | None:
        """Turn a claimed contact into a sending one, or return why that is not permitted."""
        return await self._writer.change(intent_change(intent))

    async def due_in_doubt(self, limit: int, now: float) -> Sequence[InDoubtContact]:
        """Return up to ``limit`` contacts in doubt whose look back is due, the earliest first."""
        return await self._reader.read(
            partial(reads.due_in_doubt, campaign=self._campaign, limit=limit, now=now)
        )

    async def look_back_times(self, limit: int) -> Sequence[float]:
        """Return when up to ``limit`` contacts in doubt are due for a look, the earliest first."""
        return await self._reader.read(
            partial(reads.look_back_times, campaign=self._campaign, limit=limit)
        )

    async def known_effects(
        self,
        conversations: Sequence[str],
        since: float,
        external_contact_ids: Sequence[str] = (),
    ) -> KnownEffects:
        """Return what is known about conversations and people; see `Ledger`."""
        return await self._reader.read(
            partial(
                reads.known_effects,
                conversations=conversations,
                since=since,
                external_contact_ids=external_contact_ids,
            )
        )

    async def recent_conversations(self, now: float, limit: int) -> Sequence[str]:
        """Return conversations of which the platform may have new records; see `Ledger`."""
        return await self._reader.read(
            partial(reads.recent_conversations, campaign=self._campaign, now=now, limit=limit)
        )

    async def witnesses(self, after: float, limit: int) -> Sequence[DeliveryWitness]:
        """Return the first messages that the platform took after a time, in all campaigns."""
        return await self._reader.read(partial(reads.witnesses, after=after, limit=limit))

    async def backlog(self, now: float) -> Backlog:
        """Count the contacts that are ready, claimed or sending."""
        return await self._reader.read(partial(self._backlog, now=now))

    async def totals(self) -> Totals:
        """Return the totals of the campaign."""
        return await self._reader.read(partial(totals.campaign_totals, campaign=self._campaign))

    async def overview(self, now: float) -> Overview:
        """Return backlog and totals of the same moment, and the state of the database."""
        commits = self._writer.commit_times
        return await self._reader.read(partial(self._overview, now=now, commits=commits))

    async def earlier_waits(self, now: float) -> Sequence[Waits]:
        """Return why contacts wait that an earlier run has put off; see `Ledger`."""
        return await self._reader.read(
            partial(
                reads.earlier_waits,
                campaign=self._campaign,
                now=now,
                opened=self._opened_at,
                last_id=self._last_id,
            )
        )

    async def paused(self) -> float | None:
        """Return since when the campaign is paused, None if it is not."""
        return await self._reader.read(partial(totals.paused_since, campaign=self._campaign))

    async def pause(self, now: float) -> None:
        """Pause the campaign from ``now`` on. If it is paused already, the earlier time stays."""
        await self._writer.job(partial(campaign_rows.pause, campaign=self._campaign, now=now))

    async def resume(self) -> None:
        """Resume the campaign."""
        await self._writer.job(partial(campaign_rows.resume, campaign=self._campaign))

    def _overview(
        self, connection: "Connection[Any]", now: float, commits: CommitTimes
    ) -> Overview:
        with snapshot(connection):
            sums, backlog = self._counts(connection, now, self._due_count)
            row = connection.execute(reads.READS["size"]).fetchone()
        before, self._commits = self._commits, commits
        return Overview(
            backlog, sums, LedgerState(row[0] if row else 0, None, commits.mean_since(before))
        )

    def _backlog(self, connection: "Connection[Any]", now: float) -> Backlog:
        with snapshot(connection):
            return self._counts(connection, now, DueCount())[1]

    def _counts(
        self, connection: "Connection[Any]", now: float, due_count: DueCount
    ) -> tuple[Totals, Backlog]:
        sums = totals.campaign_totals(connection, self._campaign)
        ready = sums.by_status.get((Status.READY, None), 0)
        due = due_count.count(lambda: totals.count_due(connection, self._campaign, now), now, ready)
        return sums, totals.backlog_of(connection, self._campaign, now, sums, due)
