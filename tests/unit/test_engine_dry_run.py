"""The dry run: what it counts and reads, and what it forecasts."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.first_call_forecast import FirstCallForecast
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import Reason, RetryReason, Status, Step
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.readonly.dry_run import DryRun, DryRunOptions
from dispatcher.engine.readonly.platform_reader import PlatformReader, PlatformReadError
from dispatcher.ports import Batch, Claim, SourceError
from tests.support.scripted import (
    ENDED,
    NOT_SENT,
    OPEN,
    RESET,
    ListSource,
    OpenPacer,
    ScriptedPlatform,
)
from tests.support.virtual import START, VirtualClock, in_virtual_time


class Ledger:
    """The view of a ledger that a dry run reads."""

    in_doubt = 2

    def __init__(self, *waiting, known=()):
        self._waiting, self._known, self._people = waiting, set(known), set()
        self.messages = Counter()

    def streams(self):
        return {"fingerprint": "stream"}

    def take_new(self, contacts):
        new = [contact for contact in contacts if contact.key not in self._known]
        self._known.update(contact.key for contact in new)
        return new

    def mark_reached(self, external_contact_id):
        before = external_contact_id in self._people
        self._people.add(external_contact_id)
        return before

    def plan_message(self, external_contact_id, cap, since):
        self.cap_since = since
        self.messages[external_contact_id] += 1
        return self.messages[external_contact_id] <= cap

    def waiting(self):
        yield from self._waiting


def contacts(*numbers, **more):
    return [
        Contact(f"k{n}", f"c{n}", "Hello", external_contact_id=f"c{n}", **more) for n in numbers
    ]


async def dry_run(source, ledger, platform, sample=None, rules=None):
    options = DryRunOptions(sample, workers=4, ended_after=60.0, rules=rules or CampaignRules())
    clock, randbelow = VirtualClock(), random.Random(1).randrange
    run = DryRun(source, ledger, DecisionPolicy(), clock, options, randbelow)
    reader = PlatformReader(platform, OpenPacer(), clock, RetryPolicy(), lambda: 0.5)
    return await run.run(platform, reader)


@in_virtual_time
async def test_every_row_is_counted_once_and_by_what_it_is():
    """Rows of the source, contacts of the ledger, those that need no check, those due later."""
    rejected = RejectedRow("f", 3, "no_id", "empty", b"")
    source = ListSource(
        Batch([*contacts(1, 2, 3), *contacts(4, not_before=START + 500)], [rejected], filtered=2),
        Batch([*contacts(2, 5), *contacts(6, expires_at=START - 1)]),
    )
    waits = Claim(9, contacts(9)[0], Progress(unknown=1))
    platform = ScriptedPlatform(lambda _: OPEN)
    report = await dry_run(source, Ledger(waits, known=["k1"]), platform)
    progress = report.progress
    assert source.known == {"fingerprint": "stream"}
    assert (progress.rows, progress.contacts, progress.duplicates, progress.filtered) == (
        10,
        5,
        2,
        2,
    )
    assert (dict(progress.rejected), progress.waiting, progress.later) == ({"no_id": 1}, 1, 1)
    assert sorted(request.conversation_id for request in platform.requests) == [
        "c2", "c3", "c4", "c5", "c9",
    ]  # fmt: skip
    ends = {key: span.number for key, span in report.estimate.outcomes.items()}
    assert ends == {
        (Status.NOTIFIED, Reason.DELIVERED): 5,
        (Status.SKIPPED, Reason.EXPIRED): 1,
    }
    assert report.estimate.requests.number == 10
    assert (report.in_doubt, progress.at_end) == (2, True)
    assert 490 < report.longest_wait <= 500


@in_virtual_time
async def test_the_rules_that_need_no_state_check_are_applied():
    """A repeated person is written to once, a suppressed one never; no state is read."""
    twice = [replace(one, external_contact_id="same") for one in contacts(1, 2, 3)]
    source = ListSource(Batch([*twice, *contacts(4)]))
    rules = CampaignRules(one_per_person=True, suppressed=lambda ids, _: "k3" in ids)
    platform = ScriptedPlatform(lambda _: OPEN)
    report = await dry_run(source, Ledger(), platform, rules=rules)
    assert sorted(request.conversation_id for request in platform.requests) == ["c1", "c4"]
    skipped = {
        reason: span.number
        for (status, reason), span in report.estimate.outcomes.items()
        if status is Status.SKIPPED
    }
    assert skipped == {Reason.SAME_PERSON: 1, Reason.SUPPRESSED: 1}


@in_virtual_time
async def test_who_has_as_many_messages_as_the_cap_permits_is_skipped_after_a_state_check():
    """The ledger's messages of all campaigns count, and those that this plan would send."""
    twice = [replace(one, external_contact_id="twice") for one in contacts(1, 2)]
    ledger = Ledger()
    ledger.messages["c3"] = 1
    rules = CampaignRules(cap=1, cap_seconds=50.0)
    platform = ScriptedPlatform(lambda _: OPEN)
    report = await dry_run(
        ListSource(Batch([*twice, *contacts(3, 4)])), ledger, platform, rules=rules
    )
    assert sorted(request.conversation_id for request in platform.requests) == ["c1", "c4"]
    assert report.estimate.outcomes[Status.SKIPPED, Reason.CAPPED].number == 2
    assert report.estimate.checks.number == 4  # the two are skipped after theirs
    assert ledger.cap_since == START - 50


@in_virtual_time
async def test_a_contact_that_is_due_later_counts_once_by_its_latest_time(monkeypatch):
    """By its date and by a rule; not if it is skipped, since its person gets another message."""
    deferred = Defer(200.0, RetryReason.QUIET_HOURS, Progress())
    rules = CampaignRules(one_per_person=True)
    after = {"k1": deferred, "k2": deferred, "k3": deferred}
    monkeypatch.setattr(CampaignRules, "check", lambda _, contact, *__: after.get(contact.key))
    twice = [replace(one, external_contact_id="same") for one in contacts(2, 3)]
    dated = [*contacts(1, not_before=START + 500), *contacts(4, not_before=START - 5)]
    report = await dry_run(
        ListSource(Batch([*dated, *twice])), Ledger(), ScriptedPlatform(lambda _: OPEN), rules=rules
    )
    assert (report.progress.to_check, report.progress.later) == (3, 2)
    assert report.progress.last_due == START + 500


@in_virtual_time
async def test_a_sample_reads_as_many_states_as_it_says_and_no_more_at_once_than_workers():
    """20 of 300 contacts, four at a time; nothing is sent."""
    source = ListSource(*(Batch(contacts(*range(n, n + 50))) for n in range(0, 300, 50)))
    platform = ScriptedPlatform(lambda _: ENDED)
    report = await dry_run(source, Ledger(), platform, sample=20)
    assert platform.steps() == [Step.CHECK] * 20
    assert platform.most_at_once == 4
    opened = report.estimate.outcomes[Status.OPENED, Reason.DELIVERED]
    assert (opened.number, report.estimate.requests.number) == (300, 600)
    assert opened.low < 300


@in_virtual_time
async def test_states_that_cannot_be_read_widen_the_interval_instead_of_counting():
    """One of four gives no answer: the estimate rests on three."""
    platform = ScriptedPlatform(lambda it: RESET if it.conversation_id == "c1" else ENDED)
    report = await dry_run(ListSource(Batch(contacts(1, 2, 3, 4))), Ledger(), platform)
    assert (report.progress.checked, report.progress.unread) == (3, 1)
    opened = report.estimate.outcomes[Status.OPENED, Reason.DELIVERED]
    assert (opened.low, opened.number, opened.high) == (3, 4, 4)


@in_virtual_time
async def test_an_error_ends_the_dry_run_and_closes_the_source():
    """An error of the source, or of the platform while the source is still being read."""
    broken = ListSource(Batch(contacts(1)), SourceError("f: cannot be read"))
    with pytest.raises(SourceError):
        await dry_run(broken, Ledger(), ScriptedPlatform(lambda _: OPEN))
    source = ListSource(*(Batch(contacts(n)) for n in range(50)), seconds=0.01)
    with pytest.raises(PlatformReadError):
        await dry_run(source, Ledger(), ScriptedPlatform(lambda _: NOT_SENT))
    assert broken.closed
    assert source.closed


@in_virtual_time
async def test_first_calls_that_are_learnt_take_fewer_requests():
    """The plan counts what a run would send without a state check."""
    rows = [replace(contact, address="a") for contact in contacts(*range(60))]
    platform = ScriptedPlatform(lambda request: _with_address(request.conversation_id))
    options = DryRunOptions(
        None, workers=4, ended_after=60.0,
        first_calls=FirstCallForecast(RowLikeness(), DecisionPolicy()),
    )  # fmt: skip
    clock = VirtualClock()
    reader = PlatformReader(platform, OpenPacer(), clock, RetryPolicy(), lambda: 1.0)
    run = DryRun(
        ListSource(Batch(rows)), Ledger(), DecisionPolicy(), clock, options, random.randrange
    )
    report = await run.run(platform, reader)
    assert report.estimate.outcomes[Status.OPENED, Reason.DELIVERED].number == 60
    assert 60 < report.estimate.requests.number < 70


def _with_address(conversation_id):
    conversation = Conversation(conversation_id, State.ENDED, conversation_id, address="A")
    return Answer(200, from_platform=True, conversation=conversation)
