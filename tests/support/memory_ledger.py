"""A ledger in memory that keeps the port's guarantees, and refuses what the port forbids."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from dispatcher.domain.contact import Contact
from dispatcher.domain.evidence import DeliveryWitness, digest
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import FINAL, Reason, Relation, SendBlock, Status, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.ports import (
    NO_LIMITS,
    Admitted,
    Backlog,
    Claim,
    InDoubtContact,
    KnownEffects,
    LedgerError,
    Limits,
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


class MemoryLedger:
    """Writes at once, so that cancelling cancels no write; answers after ``commit_seconds``.

    ``before`` is awaited with the name of each call before it writes anything. A ledger
    ``beside`` another one is another campaign of the same ledger.
    """

    def __init__(self, commit_seconds=0.001, campaign="campaign", beside=None, first_id=1):
        self.campaign = campaign
        self.rows: dict[int, Row] = beside.rows if beside else {}
        self.alike = beside.alike if beside else defaultdict(set)
        self.files = {}
        self.first_id = first_id
        self.paused_at = None
        self.commit_seconds = commit_seconds
        self.calls = Counter()
        self.most_ready = 0
        self.failure: LedgerError | None = None

    async def before(self, name):
        """Replaced by tests that hold a call up."""

    async def positions(self):
        await self._begin("positions")
        return dict(self.files)

    async def admit(self, batch, now, claim):
        await self._begin("admit")
        given = {each.key: each for each in reversed(batch.contacts)}
        known = {row.contact.key for row in self._own()}
        new = [each for each in reversed(given.values()) if each.key not in known]
        ids = [self.put(contact, due=max(now, contact.not_before or 0.0)) for contact in new]
        due = [each for each in ids if self.rows[each].due <= now]
        if batch.position is not None:
            self.files[batch.position.fingerprint] = batch.position
        claims = [self._claimed(each, (SendBlock.SAME_PERSON,)) for each in due[:claim]]
        return await self._end(Admitted(len(new), len(batch.contacts) - len(new), claims))

    async def claim(self, limit, now):
        await self._begin("claim")
        due = sorted(
            (row.due, each)
            for each, row in self.rows.items()
            if row.status is Status.READY and row.due <= now and row.campaign == self.campaign
        )
        return await self._end([self._claimed(each) for _, each in due[:limit]])

    async def intend(self, intent):
        await self._begin("intend")
        person = intent.external_contact_id
        hindrance = self._hindrance(intent.id, person, intent.limits)
        if hindrance is not None and self.rows[intent.id].status is Status.CLAIMED:
            return await self._end(hindrance)
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
        row.story += settlement.story
        taken = settlement.status in (Status.NOTIFIED, Status.OPENED)
        if not taken and settlement.reason is not Reason.IN_DOUBT:
            row.reached_at = None
        await self._end(None)

    async def defer(self, id, due, progress, story=()):  # noqa: A002 - the port's word
        await self._begin("defer")
        held = (Status.CLAIMED, Status.SENDING, Status.IN_DOUBT)
        row = self._change("defer", id, Status.READY, *held)
        row.due, row.progress, row.intent, row.reached_at = due, progress, None, None
        row.story += story
        await self._end(None)

    async def mark_in_doubt(self, id, look_at, progress, story=()):  # noqa: A002 - the port's word
        await self._begin("mark_in_doubt")
        row = self._change("doubt", id, Status.IN_DOUBT, Status.SENDING)
        row.look_at, row.progress = look_at, progress
        row.story += story
        await self._end(None)

    async def due_in_doubt(self, limit, now):
        await self._begin("due_in_doubt")
        due = sorted((row.look_at, each) for each, row in self._in_doubt() if row.look_at <= now)
        found = [(each, self.rows[each]) for _, each in due[:limit]]
        return await self._end(
            [
                InDoubtContact(each, row.contact, row.progress, _intended(each, row))
                for each, row in found
            ]
        )

    async def schedule_look_back(self, id, at):  # noqa: A002 - the port's word
        await self._begin("schedule_look_back")
        self._change("look_again", id, Status.IN_DOUBT, Status.IN_DOUBT).look_at = at
        await self._end(None)

    async def next_look_back(self):
        await self._begin("next_look_back")
        return await self._end(min((row.look_at for _, row in self._in_doubt()), default=None))

    async def known_effects(self, conversations, since, people=()):
        await self._begin("known_effects")
        asked, taken = set(conversations), self._taken()
        unsettled = [
            intended
            for each, row in self.rows.items()
            if row.status in (Status.SENDING, Status.IN_DOUBT)
            or (row.settlement and row.settlement.reason is Reason.IN_DOUBT)
            if (intended := _intended(each, row)).conversation_id in asked
            or (row.person is not None and row.person in people)
        ]
        here = [
            end
            for end, row in taken
            if end.conversation_id in asked and _sent_at(end, row) >= since
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

    async def witnesses(self, after, limit):
        await self._begin("witnesses")
        found = [
            DeliveryWitness(end.conversation_id, end.message_id, digest(row.contact.text))
            for end, row in self._taken()
            if _sent_at(end, row) > after
        ]
        return await self._end(found[:limit])

    async def release(self, ids):
        await self._begin("release")
        for each in ids:
            self._change("release", each, Status.READY, Status.CLAIMED)
        await self._end(None)

    async def backlog(self, now):
        await self._begin("backlog")
        ready = [row.due for row in self._own() if row.status is Status.READY]
        due, later = [x for x in ready if x <= now], [x for x in ready if x > now]
        busy = sum(row.status in (Status.CLAIMED, Status.SENDING) for row in self._own())
        return await self._end(
            Backlog(len(due), len(later), busy, min(due, default=None), min(later, default=None))
        )

    async def totals(self):
        return Totals(0, len(self.rows), 0, 0, {}, {})

    async def paused(self):
        await self._begin("paused")
        return await self._end(self.paused_at)

    async def pause(self, now):
        await self._begin("pause")
        self.paused_at = self.paused_at or now
        await self._end(None)

    async def resume(self):
        await self._begin("resume")
        self.paused_at = None
        await self._end(None)

    def put(self, contact, *, due=0.0, progress=NEW):
        """Write a ready contact without ceremony; return its id."""
        number = len(self.rows) + self.first_id
        self.rows[number] = Row(contact, due, progress=progress, campaign=self.campaign)
        self.rows[number].person = contact.external_contact_id
        self.alike["conversation", contact.conversation_id].add(number)
        self.most_ready = max(self.most_ready, self.count(Status.READY))
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

    def _claimed(self, number, told=(SendBlock.BUSY, SendBlock.SAME_PERSON)):
        row = self._change("claim", number, Status.CLAIMED, Status.READY)
        hindrance = self._hindrance(number, row.person, Limits(one_per_person=True))
        return Claim(number, row.contact, row.progress, hindrance if hindrance in told else None)

    def _hindrance(self, number, person, limits=NO_LIMITS):
        """What stands against a send to ``person``, in the words of the port."""
        me = self.rows[number]
        talking = self.alike["conversation", me.contact.conversation_id]
        alike = self.alike["person", person] if person else set()
        others = [self.rows[each] for each in talking | alike if each != number]
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
        row = self.rows[number]
        if row.status not in before:
            raise LedgerError(f"{name} of a contact that is {row.status}")
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


def _sent_at(end, row):
    return row.intent.at if end.sent_at is None else end.sent_at
