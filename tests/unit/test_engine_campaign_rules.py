"""The campaign's rules as the engine keeps them, in virtual time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.events import Deferred
from dispatcher.domain.failure_rate import FailureRate
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import Progress
from dispatcher.domain.quiet_hours import QuietHours
from dispatcher.domain.status import Reason, RetryReason, Status, Step
from dispatcher.engine.campaign_rules import BUSY_SECONDS, HOLD_SECONDS, CampaignRules
from dispatcher.engine.local_quiet_hours import LocalQuietHours
from dispatcher.engine.pipeline import RunOutcome
from tests.support.engine import EngineFixture, contact, contacts
from tests.support.memory_ledger import MemoryLedger
from tests.support.scripted import ENDED, GOOD, GUEST, in_turn, refused, state_answer
from tests.support.virtual import START, in_virtual_time

CHECK, OPEN = Step.CHECK, Step.OPEN
SAME = (Status.SKIPPED, Reason.SAME_PERSON)
SENT = (Status.OPENED, Reason.DELIVERED)
SHOWN = datetime.fromtimestamp(START, UTC)


def engine_with(answer=None, ledger=None, **rules):
    return EngineFixture(answer, rules=CampaignRules(**rules), ledger=ledger)


def same_person(request):
    """All conversations are one and the same person's."""
    return {**GOOD, CHECK: state_answer(identity="somebody")}[request.step]


def quiet(begin, end, column="", zone="UTC"):
    """Quiet from so many minutes after the clock's start to so many, on the zone's wall."""
    at = (SHOWN + timedelta(minutes=minutes) for minutes in (begin, end))
    window = "-".join(f"{moment:%H:%M}" for moment in at)
    return LocalQuietHours(QuietHours.parse(window), ZoneInfo(zone), column)


@pytest.mark.parametrize("open_next", [False, True])
def test_nobody_is_written_to_while_the_list_is_unproved(open_next):
    """A contact whose open is next waits at once: no state check comes before its send."""
    rules = CampaignRules(suppressed=lambda *_: False, list_unproved=lambda _: True)
    progress = Progress(open_next=open_next)
    held = Defer(HOLD_SECONDS, RetryReason.SUPPRESSION_LIST, progress)
    read = Conversation("conversation-1", State.ENDED)
    assert rules.check(contact(1), None, progress, START) == (held if open_next else None)
    assert rules.check(contact(1), read, progress, START) == held


def test_the_address_of_a_guest_with_an_id_is_looked_up_too():
    """The message goes to the guest's id; the list knows the address."""
    rules = CampaignRules(suppressed=lambda _, addresses: "me@example.org" in addresses)
    read = Conversation("conversation-1", State.ENDED, "person", GUEST, address="me@example.org")
    assert rules.check(contact(1), read, Progress(), START).reason is Reason.SUPPRESSED
    assert rules.check(contact(1), replace(read, address=None), Progress(), START) is None


# one per person


@in_virtual_time
async def test_a_second_contact_of_a_person_is_skipped_without_a_request():
    """The row names the person, who was written to: no request is made."""
    engine = engine_with(one_per_person=True)
    await engine.deliver(contact(1, external_contact_id="person-1"))
    requests = len(engine.platform.requests)
    await engine.deliver(contact(2, external_contact_id="person-1"))
    assert engine.ledger.end("key-2") == SAME
    assert len(engine.platform.requests) == requests


@in_virtual_time
async def test_a_second_contact_is_skipped_once_the_platform_names_the_person():
    """The rows name nobody; the state check does, and no send follows it."""
    engine = engine_with(same_person, one_per_person=True)
    await engine.deliver(contact(1))
    await engine.deliver(contact(2))
    assert engine.ledger.end("key-2") == SAME
    assert engine.platform.steps() == [CHECK, OPEN, CHECK]
    assert engine.pacer.permits[-1].end == "unused"


@in_virtual_time
async def test_a_person_in_another_case_is_the_same_person():
    """Two rows name one UUID in two cases, and the platform names nobody."""
    upper = "ABCDEF01-0000-4000-8000-00000000000A"
    unnamed = {**GOOD, CHECK: state_answer(identity=None)}
    engine = engine_with(lambda request: unnamed[request.step], one_per_person=True)
    await engine.deliver(contact(1, external_contact_id=upper))
    await engine.deliver(contact(2, external_contact_id=upper.lower()))
    assert [engine.ledger.end(f"key-{n}") for n in (1, 2)] == [SENT, SAME]
    assert engine.platform.steps().count(OPEN) == 1


@in_virtual_time
async def test_without_the_rule_a_person_can_be_written_to_again():
    """The rule is a choice: off, both contacts are sent."""
    engine = engine_with(same_person)
    for number in (1, 2):
        await engine.deliver(contact(number, external_contact_id="somebody"))
    assert [engine.ledger.end(f"key-{n}") for n in (1, 2)] == [SENT] * 2


@in_virtual_time
async def test_contacts_of_one_person_side_by_side():
    """The second waits until the end of the first is known, without an attempt, then is skipped."""
    engine = engine_with(same_person, one_per_person=True)
    ending = await engine.pipeline(contacts(2)).run()
    assert ending is RunOutcome.DONE
    assert sorted(engine.ledger.end(f"key-{n}") for n in (1, 2)) == [SENT, SAME]
    (busy,) = engine.events.of_type(Deferred)
    assert (busy.reason, busy.seconds) == (RetryReason.BUSY, BUSY_SECONDS)
    assert max(row.progress.attempts for row in engine.ledger.rows.values()) == 0


@in_virtual_time
async def test_a_cap_over_two_campaigns():
    """A day after the first campaign's message the second may write again, and not before."""
    day = 24 * 3600.0
    rules = {"cap": 1, "cap_seconds": day, "one_per_person": True}
    first = engine_with(same_person, **rules)
    await first.deliver(contact(1, external_contact_id="somebody"))
    ends = []
    for campaign, wait in (("early", day / 2), ("late", day / 2 + 60)):
        ledger = MemoryLedger(campaign=campaign, beside=first.ledger)
        engine = engine_with(same_person, ledger, **rules)
        await first.clock.sleep(wait)
        await engine.deliver(contact(campaign, external_contact_id="somebody"))
        ends.append(engine.ledger.end(f"key-{campaign}"))
    assert ends == [(Status.SKIPPED, Reason.CAPPED), SENT]


# quiet hours


@in_virtual_time
async def test_quiet_hours_defer_and_drop_nobody():
    """A contact that comes in the quiet time is sent when it ends, to the second."""
    engine = engine_with(quiet=quiet(-60, 90))
    row = await engine.until_final(contact(1))
    assert (row.status, row.settlement.reason) == SENT
    (deferred,) = engine.events.of_type(Deferred)
    assert deferred.reason is RetryReason.QUIET_HOURS
    sent_at = SHOWN + timedelta(seconds=engine.platform.requests[0].at)
    assert f"{sent_at:%H:%M:%S}" == f"{SHOWN + timedelta(minutes=90):%H:%M:00}"
    assert row.progress.attempts == 0


@in_virtual_time
async def test_a_contact_that_expires_in_the_quiet_time_is_skipped_at_once():
    """It could never be sent; its reason is the ordinary one."""
    engine = engine_with(quiet=quiet(-60, 90))
    await engine.deliver(contact(1, expires_at=START + 600))
    assert engine.ledger.end("key-1") == (Status.SKIPPED, Reason.EXPIRED)
    assert not engine.platform.requests


@in_virtual_time
async def test_a_wait_for_the_permit_does_not_carry_a_send_into_the_quiet_time():
    """Quiet is looked at again with the permit in hand; the permit goes back unused."""
    engine = engine_with(quiet=quiet(1, 60))
    engine.platform.on_wire = lambda _: engine.pacer.hold(None, 90.0)
    row = await engine.deliver(contact(1))
    assert row.status is Status.READY
    assert engine.platform.steps() == [CHECK]
    assert [permit.end for permit in engine.pacer.permits] == ["answered", "unused"]
    assert engine.events.of_type(Deferred)[-1].reason is RetryReason.QUIET_HOURS


@pytest.mark.parametrize(
    ("attributes", "quiet_now"),
    [
        ({"zone": "Asia/Tokyo"}, False),
        ({"zone": "Europe/London"}, True),
        ({"zone": "Nowhere/Land"}, True),
        ({"zone": "../etc"}, True),
        ({"zone": ""}, True),
        ({}, True),
    ],
)
def test_quiet_hours_are_in_the_contacts_own_zone(attributes, quiet_now):
    """The column's zone; without one, or with one that nobody knows, the default."""
    rule = LocalQuietHours(QuietHours.parse("21:00-08:00"), ZoneInfo("UTC"), "zone")
    midnight = datetime(2026, 1, 10, 0, 30, tzinfo=UTC).timestamp()
    until = rule.until(contact(1, attributes=attributes), midnight)
    assert (until is not None) is quiet_now


@pytest.mark.parametrize(
    ("zone", "evening", "morning"),
    [
        ("Europe/Berlin", "2026-03-28 22:00+01:00", "2026-03-29 08:00+02:00"),
        ("Europe/Berlin", "2026-10-24 22:00+02:00", "2026-10-25 08:00+01:00"),
        ("America/New_York", "2026-03-07 22:00-05:00", "2026-03-08 08:00-04:00"),
        ("America/New_York", "2026-10-31 22:00-04:00", "2026-11-01 08:00-05:00"),
        ("Australia/Lord_Howe", "2026-10-03 22:00+10:30", "2026-10-04 08:00+11:00"),
        ("Australia/Lord_Howe", "2026-04-04 22:00+11:00", "2026-04-05 08:00+10:30"),
    ],
)
@in_virtual_time
async def test_a_night_in_which_the_clocks_are_changed(zone, evening, morning):
    """What came at 22:00 leaves at 08:00 by the contact's own clock, however long that took."""
    hours = QuietHours.parse("21:00-08:00")
    engine = engine_with(quiet=LocalQuietHours(hours, ZoneInfo("UTC"), "zone"))
    begin, end = (datetime.fromisoformat(time).timestamp() for time in (evening, morning))
    engine.clock.time = lambda: begin + engine.clock.monotonic()
    row = await engine.until_final(contact(1, attributes={"zone": zone}))
    assert (row.status, row.settlement.reason) == SENT
    assert engine.platform.requests[0].at == pytest.approx(end - begin, abs=0.1)


# suppression


@pytest.mark.parametrize("name", ["key-1", "conversation-1", "me@example.org", "row-person"])
@in_virtual_time
async def test_no_request_is_made_for_a_suppressed_contact(name):
    """Key, conversation, address or external contact id of the row: no request at all."""
    engine = engine_with(suppressed=lambda ids, addresses: name in (*ids, *addresses))
    suppressed = contact(1, address="me@example.org", external_contact_id="row-person")
    await engine.deliver(suppressed)
    assert engine.ledger.end("key-1") == (Status.SKIPPED, Reason.SUPPRESSED)
    assert not engine.platform.requests


@pytest.mark.parametrize("name", ["somebody", GUEST.value])
@in_virtual_time
async def test_a_person_whom_the_state_check_finds_on_the_list_gets_no_message(name):
    """The state check's identifiers are looked up, too, before the send."""
    named = state_answer(identity="somebody")
    engine = engine_with(
        in_turn((CHECK, named)), suppressed=lambda ids, addresses: name in (*ids, *addresses)
    )
    await engine.deliver(contact(1))
    assert engine.ledger.end("key-1") == (Status.SKIPPED, Reason.SUPPRESSED)
    assert engine.platform.steps() == [CHECK]


# failures


def engine_whose_sends_are_refused():
    engine = engine_with(
        lambda request: refused(422) if request.step is OPEN else ENDED,
        failure_rate=FailureRate(0.2, 10),
        on_too_many=lambda: engine.stream.stop(failed=True),
    )
    return engine


@in_virtual_time
async def test_too_many_failures_stop_the_run():
    """The run drains, says so by its ending, and leaves the others ready."""
    engine = engine_whose_sends_are_refused()
    pipeline = engine.pipeline(contacts(100), workers=1)
    assert await pipeline.run() is RunOutcome.FAILED
    assert 3 <= engine.ledger.count(Status.REJECTED) <= 4
    assert engine.ledger.count(Status.REJECTED, Status.READY) == 100


@in_virtual_time
async def test_the_last_contacts_of_a_run_count_as_well():
    """A share that is exceeded when nothing is left to do is reported, too."""
    engine = engine_whose_sends_are_refused()
    pipeline = engine.pipeline(contacts(3), workers=3)
    assert await pipeline.run() is RunOutcome.FAILED


def test_the_share_is_of_the_last_contacts_alone():
    """Failures of long ago are forgotten; skipped contacts are no failures."""
    share = FailureRate(0.5, 4)
    bad, good, skipped = Status.PARKED, Status.NOTIFIED, Status.SKIPPED
    ends = [bad, bad, good, skipped, bad, bad, bad]
    assert [share.record(end) for end in ends] == [False] * 6 + [True]


def test_too_many_failures_are_reported_once():
    """However many contacts fail while the run drains."""
    calls = []
    rules = CampaignRules(failure_rate=FailureRate(0.1, 10), on_too_many=lambda: calls.append(1))
    for _ in range(20):
        rules.record_end(Status.REJECTED)
    assert calls == [1]
