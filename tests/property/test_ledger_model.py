"""The ledger against a plain model: any order of operations, crashes and restarts included."""

import asyncio
import shutil
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.contact_counts import ContactState, count_contacts
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import REPLAYABLE, Reason, Relation, SendBlock, Status, Step
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.maintenance.integrity import check_integrity
from dispatcher.ledgers.maintenance.prune import prune
from dispatcher.ledgers.registration import OpenOptions
from dispatcher.ledgers.schema import open_for_writing
from dispatcher.ledgers.write import index_staging, lookup_ahead
from dispatcher.ports import Batch, Intent, LedgerError, Limits, Settlement, Stream
from dispatcher.ports.care import PruneOrder
from tests.support.ledger_commands import replay
from tests.support.ledger_reader import LedgerReader

CAMPAIGN = "campaign"

COPIES = OpenOptions(adopt=True)
"""The files of a ledger that crashes are copied, which a run refuses otherwise."""
FINALS = st.sampled_from(
    [
        (Status.NOTIFIED, Reason.DELIVERED),
        (Status.OPENED, Reason.DELIVERED),
        (Status.SKIPPED, Reason.EXPIRED),
        (Status.REJECTED, Reason.CHANNEL),
        (Status.PARKED, Reason.RETRY_LOOP),
        (Status.PARKED, Reason.IN_DOUBT),
    ]
)
PROGRESS = st.builds(
    Progress,
    attempts=st.integers(0, 3),
    not_ended_since=st.none() | st.just(0.0),
    target=st.none() | st.builds(Target, st.text(max_size=3), is_guest_id=st.booleans()),
)
DECISIONS = st.sampled_from(
    [Notify("conversation"), Open(Target("guest", is_guest_id=True), "external", None)]
)
HELD = {Status.CLAIMED, Status.SENDING, Status.IN_DOUBT}
KEYS = st.sampled_from("abcdef") | st.text(st.characters(codec="utf-8"), max_size=2)
TALKS = st.sampled_from([None, None, None, "shared"])
PEOPLE = st.sampled_from([None, "person-a", "person-a", "person-b"])
"""No key: an operator may name a contact by its key or by its person."""
LIMITS = st.builds(Limits, st.booleans(), st.integers(0, 2), st.floats(990, 1030))
UNSETTLED = {Status.SENDING, Status.IN_DOUBT}
DELIVERED = {Status.NOTIFIED, Status.OPENED}
AFTER_A_SEND = {Reason.DELIVERED, Reason.IN_DOUBT}


@dataclass
class Known:
    """What the model remembers of one contact."""

    contact: Contact
    status: Status
    due: float
    reason: Reason | None = None
    progress: Progress = NEW
    lineage: bool = False
    talk: str | None = None
    taken_at: float = 0.0
    person: str | None = None
    reached: float | None = None
    settled_at: float = 0.0


def where(*statuses):
    """A precondition: some contact has one of the statuses."""
    return precondition(lambda self: any(e.status in statuses for e in self.known.values()))


def anybody(self):
    return bool(self.known or self.gone)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.defaults = (
            lookup_ahead.MIN_FILE_BYTES,
            index_staging.MIN_STAGED,
            index_staging.MERGE_BATCH,
        )
        self.folder = tempfile.TemporaryDirectory()
        self.generation = 0
        self.ledger = None
        self.now = 1000.0
        self.known = {}
        self.gone = {}
        self.ids = {}
        self.newest = self.newest_lineage = None
        self.bad_at = []
        self.streams = {}
        self.rows = self.duplicates = self.rejected = self.filtered = 0

    @property
    def path(self):
        return Path(self.folder.name) / str(self.generation) / "ledger.db"

    def run(self, awaitable):
        async def result():
            return await awaitable

        return self.runner.run(result())

    def teardown(self):
        try:
            if self.ledger is not None:
                self.run(self.ledger.close())
                assert self.findings() == []
        finally:
            lookup_ahead.MIN_FILE_BYTES, index_staging.MIN_STAGED, index_staging.MERGE_BATCH = (
                self.defaults
            )
            self.runner.close()
            self.folder.cleanup()

    @initialize(large=st.booleans())
    def begin(self, large):
        lookup_ahead.MIN_FILE_BYTES = 0 if large else lookup_ahead.MIN_FILE_BYTES
        self.path.parent.mkdir()
        self.open()

    def open(self):
        self.ledger = self.run(
            SqliteLedger.open(self.path, CAMPAIGN, now=lambda: self.now, options=COPIES)
        )
        self.check_recovery()

    def check_recovery(self):
        recovered = self.run(self.ledger.recover())
        released = self.turn({Status.CLAIMED}, Status.READY)
        for row in self.known.values():
            if row.status is Status.SENDING:
                row.progress = replace(row.progress, doubted_at=self.now)
        self.turn({Status.SENDING}, Status.IN_DOUBT)
        doubtful = [row for row in self.known.values() if row.status is Status.IN_DOUBT]
        assert (recovered.released, recovered.in_doubt) == (released, len(doubtful))

    def turn(self, statuses, status):
        turned = [row for row in self.known.values() if row.status in statuses]
        for row in turned:
            row.status, row.due = status, self.now
        return len(turned)

    def findings(self):
        return [finding.name for finding in check_integrity(self.path) if finding.count]

    def among(self, data, *statuses):
        keys = sorted(key for key, row in self.known.items() if row.status in statuses)
        return data.draw(st.sampled_from(keys)) if keys else None

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(
        rows=st.lists(st.tuples(KEYS, st.none() | st.integers(-9, 9), TALKS, PEOPLE), max_size=6),
        bad=st.integers(0, 2),
        filtered=st.integers(0, 2),
        place=st.none() | st.integers(0, 99),
        claim=st.integers(0, 4),
    )
    def admit(self, rows, bad, filtered, place, claim):
        contacts = [
            Contact(
                key,
                talk or f"talk-{key}",
                key,
                external_contact_id=person,
                not_before=None if wait is None else self.now + wait,
            )
            for key, wait, talk, person in rows
        ]
        rejected = [RejectedRow("f", 1, "bad_date", "", b"\0")] * bad
        at = None if place is None else Stream("f", "f", str(place), 1, done=False)
        before = self.streams["f"].at if "f" in self.streams else None
        admitted = self.run(
            self.ledger.admit(
                Batch(contacts, rejected, filtered, at, before=before), self.now, claim
            )
        )
        fresh = self.note_new(contacts)
        due = [key for key in fresh if self.known[key].due <= self.now][:claim]
        assert admitted.admitted == len(fresh)
        assert admitted.duplicates == len(rows) - len(fresh)
        assert [claim.contact for claim in admitted.claims] == [
            self.known[key].contact for key in due
        ]
        self.take(admitted.claims, self.hint_of_an_admission)
        self.rows += len(rows) + bad + filtered
        self.duplicates += admitted.duplicates
        self.rejected += bad
        self.bad_at += [self.now] * bad
        self.filtered += filtered
        if at is not None:
            self.streams["f"] = at

    def note_new(self, contacts):
        fresh = []
        for contact in contacts:
            if contact.key not in self.known and contact.key not in self.gone:
                due = self.now if contact.not_before is None else contact.not_before
                who = contact.external_contact_id
                self.known[contact.key] = Known(contact, Status.READY, due, person=who)
                fresh.append(contact.key)
                self.newest = contact.key
        return fresh

    def hindrance(self, me, person, limits):
        everybody = (*self.known.values(), *self.gone.values())
        others = [row for row in everybody if row is not me]
        reached = [e for e in others if person and e.person == person and e.reached is not None]
        talking = [e for e in others if e.contact.conversation_id == me.contact.conversation_id]
        if any(row.status in UNSETTLED for row in talking + reached):
            return SendBlock.BUSY
        if limits.one_per_person and reached:
            return SendBlock.SAME_PERSON
        late = sum(row.reached >= limits.cap_since for row in reached)
        return SendBlock.CAPPED if 0 < limits.cap <= late else None

    def hint_of_a_claim(self, me):
        return self.hindrance(me, me.person, Limits(one_per_person=True))

    def hint_of_an_admission(self, me):
        """People who got a message are a hint; a send that is on its way is none, it may fail."""
        everybody = (*self.known.values(), *self.gone.values())
        others = [row for row in everybody if row is not me and row.reached is not None]
        ended = any(e.person == me.person and e.status not in UNSETTLED for e in others)
        return SendBlock.SAME_PERSON if me.person and ended else None

    def take(self, claims, hint):
        for claim in claims:
            row = self.known[claim.contact.key]
            assert claim.block == hint(row)
            assert row.status is Status.READY
            assert claim.progress == row.progress
            row.status = Status.CLAIMED
            assert self.ids.setdefault(claim.contact.key, claim.id) == claim.id

    @where(Status.READY)
    @rule(limit=st.integers(0, 5))
    def claim(self, limit):
        due = sorted(
            row.due
            for row in self.known.values()
            if row.status is Status.READY and row.due <= self.now
        )
        claims = self.run(self.ledger.claim(limit, self.now))
        assert [self.known[claim.contact.key].due for claim in claims] == due[:limit]
        self.take(claims, self.hint_of_a_claim)

    @where(Status.CLAIMED)
    @rule(data=st.data(), decision=DECISIONS, progress=PROGRESS, learnt=PEOPLE, limits=LIMITS)
    def intend(self, data, decision, progress, learnt, limits):
        if key := self.among(data, Status.CLAIMED):
            step = Step.NOTIFY if isinstance(decision, Notify) else Step.OPEN
            row = self.known[key]
            who = learnt or row.person
            intent = Intent(self.ids[key], step, decision, self.now, progress, who, limits)
            expected = self.hindrance(row, who, limits)
            assert self.run(self.ledger.intend(intent)) == expected
            if expected is None:
                row.status, row.progress = Status.SENDING, progress
                row.person, row.reached = who, self.now
                row.talk = decision.conversation_id if step is Step.NOTIFY else decision.previous
                row.taken_at = self.now

    @where(Status.SENDING)
    @rule(data=st.data())
    def retract(self, data):
        if key := self.among(data, Status.SENDING):
            self.run(self.ledger.retract(self.ids[key]))
            self.known[key].status, self.known[key].reached = Status.CLAIMED, None

    @rule(data=st.data(), wait=st.integers(0, 9), progress=PROGRESS)
    def doubt(self, data, wait, progress):
        if key := self.among(data, Status.SENDING):
            self.run(self.ledger.mark_in_doubt(self.ids[key], self.now + wait, progress))
            row = self.known[key]
            row.status, row.due, row.progress = Status.IN_DOUBT, self.now + wait, progress

    @rule(data=st.data(), wait=st.integers(0, 9))
    def look_again(self, data, wait):
        if key := self.among(data, Status.IN_DOUBT):
            self.run(self.ledger.schedule_look_back(self.ids[key], self.now + wait))
            self.known[key].due = self.now + wait

    @where(Status.CLAIMED)
    @rule(data=st.data())
    def release(self, data):
        if key := self.among(data, Status.CLAIMED):
            self.run(self.ledger.release([self.ids[key]]))
            self.known[key].status, self.known[key].due = Status.READY, self.now

    @where(*HELD)
    @rule(data=st.data(), wait=st.integers(-5, 9), progress=PROGRESS)
    def defer(self, data, wait, progress):
        if key := self.among(data, *HELD):
            self.run(self.ledger.defer(self.ids[key], self.now + wait, progress))
            row = self.known[key]
            row.status, row.due, row.progress = Status.READY, self.now + wait, progress
            row.reached = None

    @where(*HELD)
    @rule(data=st.data(), final=FINALS, progress=PROGRESS)
    def settle(self, data, final, progress):
        held = UNSETTLED if final[1] in AFTER_A_SEND else HELD
        if key := self.among(data, *held):
            self.end(key, final, progress)

    @where(*HELD)
    @rule(data=st.data())
    def settle_all(self, data):
        finals = FINALS.filter(lambda final: final[1] is not Reason.IN_DOUBT)
        unsent = FINALS.filter(lambda final: final[1] not in AFTER_A_SEND)
        for key, row in list(self.known.items()):
            if row.status in HELD:
                self.end(key, data.draw(finals if row.status in UNSETTLED else unsent), NEW)

    def end(self, key, final, progress):
        (status, reason), row = final, self.known[key]
        taken = status in {Status.NOTIFIED, Status.OPENED}
        relation = Relation.LINKED if taken else None
        settled = Settlement(
            self.ids[key], status, reason, self.now, progress, relation,
            row.talk, f"message-{self.ids[key]}",
        )  # fmt: skip
        self.run(self.ledger.settle(settled))
        row.status, row.reason, row.lineage = status, reason, taken
        if not taken and reason is not Reason.IN_DOUBT:
            row.reached = None
        row.settled_at = self.now
        self.newest_lineage = key if taken else self.newest_lineage
        row.progress = progress if status in REPLAYABLE else replace(progress, target=None)

    @where(*REPLAYABLE)
    @rule(data=st.data())
    def replay(self, data):
        if key := self.among(data, *REPLAYABLE):
            row = self.known[key]
            doubtful = row.reason is Reason.IN_DOUBT
            replayed = self.run(replay(self.ledger, [self.ids[key]]))
            assert replayed == {"ready": not doubtful, "in_doubt": doubtful}
            row.status = Status.IN_DOUBT if doubtful else Status.READY
            row.reason, row.due = None, self.now
            row.progress = row.progress if doubtful else NEW

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), others=st.integers(1, 3))
    def refuse(self, data, others):
        key = data.draw(st.sampled_from(sorted(self.ids)))
        if self.known[key].status in HELD:
            return
        wrong = [self.ledger.settle(settlement(self.ids[key], self.now)) for _ in range(others)]
        answers = self.run(together(*wrong, self.ledger.backlog(self.now)))
        assert all(isinstance(answer, LedgerError) for answer in answers[:-1])

    @precondition(anybody)
    @rule(age=st.integers(-1, 5), parked=st.booleans())
    def prune(self, age, parked):
        before = self.now - age
        kept = {self.newest, self.newest_lineage}
        old = [
            key
            for key, row in self.known.items()
            if row.reason and row.settled_at < before and key not in kept
            if parked or row.status is not Status.PARKED
        ]
        bad = [at for at in self.bad_at[:-1] if at < before]
        with closing(open_for_writing(self.path)) as connection:
            pruned = prune(connection, PruneOrder(before, parked=parked))
        assert (pruned.contacts, pruned.rejected) == (len(old), len(bad))
        assert pruned.lineage == sum(self.known[key].lineage for key in old)
        for key in old:
            self.gone[key] = self.known.pop(key)
            self.ids.pop(key)
        self.bad_at = self.bad_at[len(bad) :]
        self.admit_again(old)

    def admit_again(self, keys):
        again = Batch([Contact(key, "conversation", key) for key in keys])
        admitted = self.run(self.ledger.admit(again, self.now, 9))
        assert (admitted.admitted, admitted.duplicates, admitted.claims) == (0, len(keys), [])
        self.rows += len(keys)
        self.duplicates += len(keys)

    @precondition(anybody)
    @rule(number=st.integers(1, 5))
    def merge_staged(self, number):
        index_staging.MIN_STAGED, index_staging.MERGE_BATCH = 0, number
        self.run(self.ledger._writer.job(self.ledger._lookup_ahead.merge))  # as when it is idle
        index_staging.MIN_STAGED = self.defaults[1]

    @precondition(anybody)
    @rule()
    def verify(self):
        assert self.findings() == []

    @precondition(anybody)
    @rule()
    def restart(self):
        self.run(self.ledger.close())
        self.open()

    @precondition(anybody)
    @rule()
    def crash(self):
        before, abandoned = self.path.parent, self.ledger
        self.generation += 1
        self.path.parent.mkdir()
        for part in before.glob("ledger.db*"):
            shutil.copy(part, self.path.parent / part.name)
        self.run(abandoned.close())
        self.open()

    @invariant()
    def agrees_with_the_model(self):
        if self.ledger is None:
            return
        by_status = {}
        for row in (*self.known.values(), *self.gone.values()):
            pair = (row.status, row.reason)
            by_status[pair] = by_status.get(pair, 0) + 1
        totals = self.run(self.ledger.totals())
        assert totals.by_status == by_status
        assert (totals.rows, totals.admitted) == (self.rows, len(self.known) + len(self.gone))
        assert (totals.duplicates, totals.filtered) == (self.duplicates, self.filtered)
        assert sum(totals.rejected.values()) == self.rejected
        assert self.run(self.ledger.streams()) == self.streams

    @invariant()
    def backlog_agrees_with_the_model(self):
        if self.ledger is None:
            return
        dues = [row.due for row in self.known.values() if row.status is Status.READY]
        busy = [e for e in self.known.values() if e.status in {Status.CLAIMED, Status.SENDING}]
        backlog = self.run(self.ledger.backlog(self.now))
        due = [at for at in dues if at <= self.now]
        later = [at for at in dues if at > self.now]
        assert (backlog.due, backlog.later, backlog.claimed_or_sending) == (
            len(due),
            len(later),
            len(busy),
        )
        assert backlog.oldest_due == min(due, default=None)
        assert backlog.next_due == min(later, default=None)

    @invariant()
    def all_that_were_admitted_are_somewhere(self):
        if self.ledger is None:
            return
        overview = self.run(self.ledger.overview(self.now))
        waiting = {"quiet_hours": overview.backlog.later}
        counts = count_contacts(overview.totals.by_status, overview.backlog.due, waiting)
        assert sum(counts.values()) == len(self.known) + len(self.gone)
        assert min(counts.values()) >= 0
        held = Counter(row.status for row in self.known.values())
        assert counts[ContactState.IN_DOUBT, "look_back"] == held[Status.IN_DOUBT]
        assert counts[ContactState.IN_FLIGHT, "sending"] == held[Status.SENDING]

    @invariant()
    def doubts_agree_with_the_model(self):
        if self.ledger is None:
            return
        doubts = {k: row for k, row in self.known.items() if row.status is Status.IN_DOUBT}
        due = sorted(row.due for row in doubts.values() if row.due <= self.now)
        found = self.run(self.ledger.due_in_doubt(2, self.now))
        assert [doubts[item.contact.key].due for item in found] == due[:2]
        assert [doubts[item.contact.key].progress for item in found] == [
            item.progress for item in found
        ]
        looks = sorted(row.due for row in doubts.values())
        assert self.run(self.ledger.look_back_times(2)) == looks[:2]

    @where(*UNSETTLED, *DELIVERED)
    @rule(age=st.integers(-1, 20))
    def ask_what_is_known(self, age):
        everybody = {
            self.ids[key]: row for key, row in self.known.items() if row.talk == "conversation"
        }
        found = self.run(self.ledger.known_effects(["conversation"], self.now - age))
        recent = [
            (id_, row)
            for id_, row in everybody.items()
            if row.lineage and row.taken_at >= self.now - age
        ]
        assert found.messages == {f"message-{id_}" for id_, _ in recent}
        assert found.conversations == {row.talk for _, row in recent}

    @invariant()
    def lineage_is_there_for_each_message(self):
        if self.ledger is None:
            return
        with LedgerReader(self.path, CAMPAIGN) as reader:
            keys = sorted(row.contact_key for row in reader.lineage())
            final = [row.progress for row in reader.contacts(Status.OPENED)]
        assert keys == sorted(key for key, row in self.known.items() if row.lineage)
        assert all(progress.target is None for progress in final)


def settlement(id_, now):
    return Settlement(id_, Status.SKIPPED, Reason.EXPIRED, now, NEW)


async def together(*awaitables):
    return await asyncio.gather(*awaitables, return_exceptions=True)


LedgerMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class TestLedger(LedgerMachine.TestCase):
    """The ledger and the model never differ."""
