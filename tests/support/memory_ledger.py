"""A ledger in memory, with the port's guarantees and refusals."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from dispatcher.domain.contact import Contact
from dispatcher.domain.events import LedgerState
from dispatcher.domain.evidence import DeliveryWitness, digest
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import FINAL, Reason, Relation, SendBlock, Status, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.ports import (
    NO_LIMITS,
    RECEIPT_SECONDS,
    Admitted,
    Backlog,
    Claim,
    InDoubtContact,
    KnownEffects,
    LedgerError,
    Limits,
    Overview,
    StreamMovedError,
    Totals,
)


@dataclass
class Row:
    contact: Contact
    due: float
    status: Status = Status.READY
    progress: Progress = NEW
    intent: object = None
    settlement: object = None
    look_at: float = 0.0
    campaign: str = "campaign"
    person: str | None = None
    reached_at: float | None = None
    history: list = field(default_factory=list)
    """The names of all writes to this contact."""
    story: list = field(default_factory=list)


@dataclass
class CampaignState:
    files: dict = field(default_factory=dict)
    """Streams by fingerprint."""
    counts: Counter = field(default_factory=Counter)
    rejected: Counter = field(default_factory=Counter)
    receipts: dict = field(default_factory=dict)
    """Digest, time and receipt of each request, by its key."""
    paused_at: float | None = None


class MemoryLedger:
    """Writes at once, so that cancelling cancels no write; answers after ``commit_seconds``.

    ``before`` is awaited with the name of each call before it writes anything. A ledger
    ``beside`` another one is the same ledger, opened again or for another campaign.
    """

    def __init__(self, commit_seconds=0.001, campaign="campaign", beside=None, first_id=1):
        self.campaign = campaign
        self.rows: dict[int, Row] = beside.rows if beside else {}
        self.alike = beside.alike if beside else defaultdict(set)
        self.campaigns = beside.campaigns if beside else defaultdict(CampaignState)
        self.first_id = first_id
        self.commit_seconds = commit_seconds
        self.calls = Counter()
        self.most_ready = 0
        self.failure: LedgerError | None = None

    @property
    def state(self):
        return self.campaigns[self.campaign]

    @property
    def files(self):
        return self.state.files

    @files.setter
    def files(self, streams):
        self.state.files = streams

    @property
    def paused_at(self):
        return self.state.paused_at

    async def before(self, name):
        """Replaced by tests that delay a call."""

    async def streams(self):
        await self._begin("streams")
        return dict(self.files)

    async def admit(self, batch, now, claim_limit):
        await self._begin("admit")
        if batch.request is not None:
            key, digest = batch.request
            earlier = self.state.receipts.get(key)
            if earlier is not None and earlier[1] > now - RECEIPT_SECONDS:
                if earlier[0] != digest:
                    return await self._end(Admitted(0, 0, (), key_reused=True))
                return await self._end(Admitted(0, 0, (), receipt=earlier[2]))
        if batch.stream is not None:
            before = self.files.get(batch.stream.fingerprint)
            if batch.before != (before and before.at):
                raise StreamMovedError(batch.stream.name)
            self.files[batch.stream.fingerprint] = batch.stream
        known = {row.contact.key for row in self._own()}
        new = {}
        for contact in batch.contacts:
            if contact.key not in known:
                new.setdefault(contact.key, contact)
        ids = [
            self.put(contact, due=now if contact.not_before is None else contact.not_before)
            for contact in new.values()
        ]
        self.most_ready = max(self.most_ready, self.count(Status.READY))
        due = [number for number in ids if self.rows[number].due <= now]
        duplicates = len(batch.contacts) - len(new)
        self.state.counts.update(rows=batch.rows, duplicates=duplicates, filtered=batch.filtered)
        self.state.rejected.update(row.reason for row in batch.rejected)
        claims = [self._claimed(number, (SendBlock.SAME_PERSON,)) for number in due[:claim_limit]]
        later = [self.rows[number].due for number in ids if self.rows[number].due > now]
        admitted = Admitted(len(new), duplicates, claims, later)
        if batch.request is not None:
            key, digest = batch.request
            self.state.receipts[key] = (digest, now, batch.receipt(admitted))
        return await self._end(admitted)

    async def claim(self, limit, now):
        await self._begin("claim")
        due = sorted(
            (row.due, number)
            for number, row in self.rows.items()
            if row.status is Status.READY and row.due <= now and row.campaign == self.campaign
        )
        return await self._end([self._claimed(number) for _, number in due[:limit]])

    async def claim_early(self, ids):
        await self._begin("claim_early")
        ready = [
            (row.due, number)
            for number in ids
            if (row := self.rows.get(number)) is not None
            and row.status is Status.READY
            and row.campaign == self.campaign
        ]
        return await self._end([self._claimed(number) for _, number in sorted(ready)])

    async def intend(self, intent):
        await self._begin("intend")
        person = intent.external_contact_id
        if intent.id in self.rows and self.rows[intent.id].status is Status.CLAIMED:
            block = self._block(intent.id, person, intent.limits)
            if block is not None:
                return await self._end(block)
        row = self._change("intend", intent.id, Status.SENDING, Status.CLAIMED)
        row.intent, row.progress = intent, intent.progress
        row.person, row.reached_at = person or row.person, intent.at
        self.alike["person", row.person].add(intent.id)
        return await self._end(None)

    async def retract(self, id):  # noqa: A002 - the port's word
        await self._begin("retract")
        row = self._change("retract", id, Status.CLAIMED, Status.SENDING)
        row.intent = row.reached_at = None
        await self._end(None)

    async def settle(self, settlement):
        await self._begin("settle")
        held = (Status.CLAIMED, Status.SENDING, Status.IN_DOUBT)
        row = self._change("settle", settlement.id, settlement.status, *held)
        assert settlement.status in FINAL
        row.settlement, row.progress = settlement, settlement.progress
        row.story += settlement.history
        taken = settlement.status in (Status.NOTIFIED, Status.OPENED)
        if not taken and settlement.reason is not Reason.IN_DOUBT:
            row.reached_at = None
        await self._end(None)

    async def defer(self, id, due, progress, history=()):  # noqa: A002 - the port's word
        await self._begin("defer")
        held = (Status.CLAIMED, Status.SENDING, Status.IN_DOUBT)
        row = self._change("defer", id, Status.READY, *held)
        row.due, row.progress, row.intent, row.reached_at = due, progress, None, None
        row.story += history
        await self._end(None)

    async def mark_in_doubt(self, id, look_at, progress, history=()):  # noqa: A002 - the port's word
        await self._begin("mark_in_doubt")
        row = self._change("doubt", id, Status.IN_DOUBT, Status.SENDING)
        row.look_at, row.progress = look_at, progress
        row.story += history
        await self._end(None)

    async def due_in_doubt(self, limit, now):
        await self._begin("due_in_doubt")
        due = sorted(
            (row.look_at, number) for number, row in self._in_doubt() if row.look_at <= now
        )
        found = [(number, self.rows[number]) for _, number in due[:limit]]
        return await self._end(
            [
                InDoubtContact(number, row.contact, row.progress, _intended(number, row))
                for number, row in found
            ]
        )

    async def schedule_look_back(self, id, at):  # noqa: A002 - the port's word
        await self._begin("schedule_look_back")
        self._change("look_again", id, Status.IN_DOUBT, Status.IN_DOUBT).look_at = at
        await self._end(None)

    async def look_back_times(self, limit):
        await self._begin("look_back_times")
        return await self._end(sorted(row.look_at for _, row in self._in_doubt())[:limit])

    async def known_effects(self, conversations, since, external_contact_ids=()):
        await self._begin("known_effects")
        wanted, taken = set(conversations), self._taken()
        unsettled = [
            intended
            for number, row in self.rows.items()
            if row.status in (Status.SENDING, Status.IN_DOUBT)
            or (row.settlement and row.settlement.reason is Reason.IN_DOUBT)
            if (intended := _intended(number, row)).conversation_id in wanted
            or (row.person is not None and row.person in external_contact_ids)
        ]
        here = [
            end
            for end, row in taken
            if end.conversation_id in wanted and _sent_at(end, row) >= since
        ]
        return await self._end(
            KnownEffects(
                frozenset(end.message_id for end in here if end.message_id),
                frozenset(
                    end.conversation_id for end in here if end.relation is not Relation.NOTIFIED
                ),
                unsettled,
                frozenset(end.conversation_id for end in here if end.message_id is None),
            )
        )

    async def recent_conversations(self, now, limit):
        await self._begin("recent_conversations")
        waiting = sorted(
            (row.due, row.contact.conversation_id)
            for row in self._own()
            if row.status is Status.READY and row.due > now and _waits(row.progress)
        )
        taken = sorted(self._taken(), key=lambda end: -_sent_at(*end))
        found = [conversation for _, conversation in waiting][:limit]
        found += [end.conversation_id for end, _ in taken if end.conversation_id][:limit]
        return await self._end(list(dict.fromkeys(found)))

    async def witnesses(self, after, limit):
        await self._begin("witnesses")
        found = [
            DeliveryWitness(end.conversation_id, end.message_id, digest(row.contact.text))
            for end, row in self._taken()
            if _sent_at(end, row) > after
        ]
        return await self._end(found[:limit])

    async def release(self, ids, due=None):
        await self._begin("release")
        for number in ids:
            row = self._change("release", number, Status.READY, Status.CLAIMED)
            row.due = (due or {}).get(number, row.due)
        await self._end(None)

    async def overview(self, now):
        await self._begin("overview")
        return await self._end(
            Overview(self._backlog(now), self._totals(), LedgerState(4096, 1, 0.001))
        )

    async def earlier_waits(self, now):
        await self._begin("earlier_waits")
        return await self._end([])

    async def backlog(self, now):
        await self._begin("backlog")
        return await self._end(self._backlog(now))

    def _backlog(self, now):
        own = [row for row in self._own() if row.status not in FINAL]
        ready = [row.due for row in own if row.status is Status.READY]
        due, later = [x for x in ready if x <= now], [x for x in ready if x > now]
        busy = sum(row.status in (Status.CLAIMED, Status.SENDING) for row in own)
        return Backlog(len(due), len(later), busy, min(due, default=None), min(later, default=None))

    async def totals(self):
        await self._begin("totals")
        return await self._end(self._totals())

    def _totals(self):
        own, counts = self._own(), self.state.counts
        by_status = Counter(
            (row.status, row.settlement.reason if row.status in FINAL else None) for row in own
        )
        return Totals(
            counts["rows"], len(own), counts["duplicates"], counts["filtered"],
            dict(self.state.rejected), dict(by_status),
        )  # fmt: skip

    async def paused(self):
        await self._begin("paused")
        return await self._end(self.paused_at)

    async def pause(self, now):
        await self._begin("pause")
        self.state.paused_at = self.paused_at or now
        await self._end(None)

    async def resume(self):
        await self._begin("resume")
        self.state.paused_at = None
        await self._end(None)

    def put(self, contact, *, due=0.0, progress=NEW):
        """Write a ready contact without ceremony; return its id."""
        number = len(self.rows) + self.first_id
        self.rows[number] = Row(contact, due, progress=progress, campaign=self.campaign)
        self.rows[number].person = contact.external_contact_id
        self.alike["conversation", contact.conversation_id].add(number)
        return number

    def count(self, *statuses):
        return sum(row.status in statuses for row in self.rows.values())

    def row(self, key):
        return next(row for row in self.rows.values() if row.contact.key == key)

    def end(self, key):
        """Status and reason of a contact that is final."""
        row = self.row(key)
        return row.status, row.settlement and row.settlement.reason

    def recover(self, now=0.0):
        """Do what the next run does first."""
        for row in self.rows.values():
            if row.status is Status.CLAIMED:
                row.status = Status.READY
            elif row.status is Status.SENDING:
                row.status, row.look_at = Status.IN_DOUBT, now
                row.progress = replace(row.progress, doubted_at=now)

    def _in_doubt(self):
        return [(n, row) for n, row in self.rows.items() if row.status is Status.IN_DOUBT]

    def _taken(self):
        ends = [(row.settlement, row) for row in self.rows.values() if row.settlement]
        return [(end, row) for end, row in ends if end.relation]

    def _own(self):
        return [row for row in self.rows.values() if row.campaign == self.campaign]

    def _claimed(self, number, hints=(SendBlock.BUSY, SendBlock.SAME_PERSON)):
        row = self._change("claim", number, Status.CLAIMED, Status.READY)
        block = self._block(number, row.person, Limits(one_per_person=True))
        return Claim(number, row.contact, row.progress, block if block in hints else None)

    def _block(self, number, person, limits=NO_LIMITS):
        """Return what blocks a send to ``person``, as the port defines it."""
        me = self.rows[number]
        talking = self.alike["conversation", me.contact.conversation_id]
        alike = self.alike["person", person] if person else set()
        others = [self.rows[other] for other in talking | alike if other != number]
        if any(row.status in (Status.SENDING, Status.IN_DOUBT) for row in others):
            return SendBlock.BUSY
        reached = [
            row for row in others if row.reached_at is not None and person and row.person == person
        ]
        if limits.one_per_person and any(row.campaign == me.campaign for row in reached):
            return SendBlock.SAME_PERSON
        late = sum(row.reached_at >= limits.cap_since for row in reached)
        return SendBlock.CAPPED if limits.cap and late >= limits.cap else None

    def _change(self, name, number, after, *before):
        row = self.rows.get(number)
        if row is None or row.status not in before:
            state = "not in the ledger" if row is None else row.status
            raise LedgerError(f"{name} of a contact that is {state}")
        row.history.append(name)
        row.status = after
        return row

    async def _begin(self, name):
        self.calls[name] += 1
        if self.failure is not None:
            raise self.failure
        await self.before(name)

    async def _end(self, result):
        await asyncio.sleep(self.commit_seconds)
        return result


def _intended(number, row):
    intent, decision = row.intent, row.intent.decision
    notify = intent.step is Step.NOTIFY
    return UnsettledSend(
        number,
        intent.step,
        decision.conversation_id if notify else decision.previous,
        intent.external_contact_id if notify else decision.external_contact_id,
        digest(row.contact.text),
        intent.at,
        row.progress.doubted_at,
    )


def _waits(progress):
    return progress.engaged_since is not None or progress.not_ended_since is not None


def _sent_at(end, row):
    return row.intent.at if end.sent_at is None else end.sent_at
