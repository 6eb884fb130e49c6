"""The campaign's rules as the engine keeps them, in virtual time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatcher.domain.events import Deferred
from dispatcher.domain.failure_rate import FailureRate
from dispatcher.domain.quiet_hours import QuietHours
from dispatcher.domain.status import Reason, RetryReason, Status, Step
from dispatcher.engine.campaign_rules import BUSY_SECONDS, CampaignRules, LocalQuietHours
from dispatcher.engine.pipeline import RunOutcome
from tests.support.engine import Bench, contact, contacts
from tests.support.memory_ledger import MemoryLedger
from tests.support.scripted import ENDED, GOOD, GUEST, in_turn, refused, seen
from tests.support.virtual import START, in_virtual_time

CHECK, OPEN = Step.CHECK, Step.OPEN
SAME = (Status.SKIPPED, Reason.SAME_PERSON)
SENT = (Status.OPENED, Reason.DELIVERED)
SHOWN = datetime.fromtimestamp(START, UTC)


def bench(answer=None, **rules):
    made = Bench(answer)
    made.desk.rules = CampaignRules(**rules)
    return made


def same_person(request):
    """All conversations are one and the same person's."""
    return {**GOOD, CHECK: seen(identity="somebody")}[request.step]


def quiet(begin, end, column="", zone="UTC"):
    """Quiet from so many minutes after the clock's start to so many, on the zone's wall."""
    at = (SHOWN + timedelta(minutes=minutes) for minutes in (begin, end))
    window = "-".join(f"{moment:%H:%M}" for moment in at)
    return LocalQuietHours(QuietHours.parse(window), ZoneInfo(zone), column)


# one per person


@in_virtual_time
async def test_a_second_contact_of_a_person_is_skipped_without_a_request():
    """The row names the person, who was written to: nothing is asked."""
    b = bench(one_per_person=True)
    await b.deliver(contact(1, external_contact_id="person-1"))
    asked = len(b.platform.requests)
    await b.deliver(contact(2, external_contact_id="person-1"))
    assert b.ledger.end("key-2") == SAME
    assert len(b.platform.requests) == asked


@in_virtual_time
async def test_a_second_contact_is_skipped_once_the_platform_tells_the_person():
    """The rows name nobody; the state check does, and no send follows it."""
    b = bench(same_person, one_per_person=True)
    await b.deliver(contact(1))
    await b.deliver(contact(2))
    assert b.ledger.end("key-2") == SAME
    assert b.platform.steps() == [CHECK, OPEN, CHECK]
    assert b.pacer.permits[-1].end == "unused"


@in_virtual_time
async def test_without_the_rule_a_person_can_be_written_to_again():
    """The rule is a choice: off, both contacts are sent."""
    b = bench(same_person)
    for number in (1, 2):
        await b.deliver(contact(number, external_contact_id="somebody"))
    assert [b.ledger.end(f"key-{n}") for n in (1, 2)] == [SENT] * 2


@in_virtual_time
async def test_contacts_of_one_person_side_by_side():
    """The second waits until the end of the first is known, without an attempt, then is skipped."""
    b = bench(same_person, one_per_person=True)
    ending = await b.pipeline(contacts(2)).run()
    assert ending is RunOutcome.DONE
    assert sorted(b.ledger.end(f"key-{n}") for n in (1, 2)) == [SENT, SAME]
    (busy,) = b.events.of(Deferred)
    assert (busy.reason, busy.seconds) == (RetryReason.BUSY, BUSY_SECONDS)
    assert max(row.progress.attempts for row in b.ledger.rows.values()) == 0


@in_virtual_time
async def test_a_cap_over_two_campaigns():
    """A day after the first campaign's message the second may write again, and not before."""
    day = 24 * 3600.0
    rules = {"cap": 1, "cap_seconds": day, "one_per_person": True}
    first = bench(same_person, **rules)
    await first.deliver(contact(1, external_contact_id="somebody"))
    ends = []
    for campaign, wait in (("early", day / 2), ("late", day / 2 + 60)):
        b = bench(same_person, **rules)
        b.ledger = b.desk.ledger = MemoryLedger(campaign=campaign, beside=first.ledger)
        await first.clock.sleep(wait)
        await b.deliver(contact(campaign, external_contact_id="somebody"))
        ends.append(b.ledger.end(f"key-{campaign}"))
    assert ends == [(Status.SKIPPED, Reason.CAPPED), SENT]


# quiet hours


@in_virtual_time
async def test_quiet_hours_defer_and_drop_nobody():
    """A contact that comes in the quiet time is sent when it ends, to the second."""
    b = bench(quiet=quiet(-60, 90))
    row = await b.until_final(contact(1))
    assert (row.status, row.settlement.reason) == SENT
    (deferred,) = b.events.of(Deferred)
    assert deferred.reason is RetryReason.QUIET_HOURS
    sent_at = SHOWN + timedelta(seconds=b.platform.requests[0].at)
    assert f"{sent_at:%H:%M:%S}" == f"{SHOWN + timedelta(minutes=90):%H:%M:00}"
    assert row.progress.attempts == 0


@in_virtual_time
async def test_a_contact_that_expires_in_the_quiet_time_is_skipped_at_once():
    """It could never be sent; its reason is the ordinary one."""
    b = bench(quiet=quiet(-60, 90))
    await b.deliver(contact(1, expires_at=START + 600))
    assert b.ledger.end("key-1") == (Status.SKIPPED, Reason.EXPIRED)
    assert not b.platform.requests


@in_virtual_time
async def test_a_wait_for_the_permit_does_not_carry_a_send_into_the_quiet_time():
    """Quiet is looked at again with the permit in hand; the permit goes back unused."""
    b = bench(quiet=quiet(1, 60))
    b.platform.on_wire = lambda _: b.pacer.hold(None, 90.0)
    row = await b.deliver(contact(1))
    assert row.status is Status.READY
    assert b.platform.steps() == [CHECK]
    assert [permit.end for permit in b.pacer.permits] == ["answered", "unused"]
    assert b.events.of(Deferred)[-1].reason is RetryReason.QUIET_HOURS


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
def test_each_contact_goes_by_its_own_clock(attributes, quiet_now):
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
    b = bench(quiet=LocalQuietHours(hours, ZoneInfo("UTC"), "zone"))
    begin, end = (datetime.fromisoformat(each).timestamp() for each in (evening, morning))
    b.clock.time = lambda: begin + b.clock.monotonic()
    row = await b.until_final(contact(1, attributes={"zone": zone}))
    assert (row.status, row.settlement.reason) == SENT
    assert b.platform.requests[0].at == pytest.approx(end - begin, abs=0.1)


# suppression


@pytest.mark.parametrize("name", ["key-1", "conversation-1", "me@example.org", "row-person"])
@in_virtual_time
async def test_who_is_on_the_list_is_not_even_asked_about(name):
    """Key, conversation, address or external contact id of the row: no request at all."""
    b = bench(suppressed=lambda names: name in names)
    given = contact(1, address="me@example.org", external_contact_id="row-person")
    await b.deliver(given)
    assert b.ledger.end("key-1") == (Status.SKIPPED, Reason.SUPPRESSED)
    assert not b.platform.requests


@pytest.mark.parametrize("name", ["somebody", GUEST.value])
@in_virtual_time
async def test_who_turns_out_to_be_on_the_list_is_not_written_to(name):
    """What the state check tells is looked up, too, before the send."""
    told = seen(identity="somebody")
    b = bench(in_turn((CHECK, told)), suppressed=lambda names: name in names)
    await b.deliver(contact(1))
    assert b.ledger.end("key-1") == (Status.SKIPPED, Reason.SUPPRESSED)
    assert b.platform.steps() == [CHECK]


# failures


@in_virtual_time
async def test_too_many_failures_stop_the_run():
    """The run drains, says so by its ending, and leaves the others ready."""
    b = bench(lambda request: refused(422) if request.step is OPEN else ENDED)
    pipeline = b.pipeline(contacts(100), workers=1)
    b.desk.rules = CampaignRules(
        failure_rate=FailureRate(0.2, 10), on_too_many=lambda: pipeline.stop(failed=True)
    )
    assert await pipeline.run() is RunOutcome.FAILED
    assert 3 <= b.ledger.count(Status.REJECTED) <= 4
    assert b.ledger.count(Status.REJECTED, Status.READY) == 100


@in_virtual_time
async def test_the_last_contacts_of_a_run_count_as_well():
    """A share that is exceeded when nothing is left to do is told all the same."""
    b = bench(lambda request: refused(422) if request.step is OPEN else ENDED)
    pipeline = b.pipeline(contacts(3), workers=3)
    b.desk.rules = CampaignRules(
        failure_rate=FailureRate(0.2, 10), on_too_many=lambda: pipeline.stop(failed=True)
    )
    assert await pipeline.run() is RunOutcome.FAILED


def test_the_share_is_of_the_last_contacts_alone():
    """Failures of long ago are forgotten; skipped contacts are no failures."""
    share = FailureRate(0.5, 4)
    bad, good, skipped = Status.PARKED, Status.NOTIFIED, Status.SKIPPED
    ends = [bad, bad, good, skipped, bad, bad, bad]
    assert [share.record(end) for end in ends] == [False] * 6 + [True]


def test_a_rule_that_was_broken_is_told_once():
    """However many contacts fail while the run drains."""
    told = []
    house = CampaignRules(failure_rate=FailureRate(0.1, 10), on_too_many=lambda: told.append(1))
    for _ in range(20):
        house.record_end(Status.REJECTED)
    assert told == [1]
