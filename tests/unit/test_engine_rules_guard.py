"""Contacts that a rule ends alike: the campaign halts before one of them is final."""

import asyncio
from zoneinfo import ZoneInfo

import pytest

from dispatcher.domain.events import Halted
from dispatcher.domain.quiet_hours import QuietHours
from dispatcher.domain.status import HaltReason, Reason, Status
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.local_quiet_hours import LocalQuietHours, UnknownZone
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Batch, Claim, SourceError
from tests.support.engine import EngineFixture, contact, contacts
from tests.support.scripted import GOOD, ListSource, refused
from tests.support.virtual import START, in_virtual_time


def guarded(answer=None, *, rules=None, **more):
    return EngineFixture(answer, rules=rules, halt_suspicious=True, **more)


def number(key):
    return int(key.rsplit("-")[-1])


def suppressing(tenths):
    """Return rules that suppress so many tenths of the people."""
    return CampaignRules(suppressed=lambda ids, _: number(ids[0]) % 10 < tenths)


def halts(engine):
    return [e.detail for e in engine.events.of_type(Halted) if e.reason is HaltReason.SUSPICIOUS]


def statuses(engine):
    return {row.status for row in engine.ledger.rows.values()}


def expired(count):
    return [contact(one, expires_at=1.0) for one in range(1, count + 1)]


@pytest.mark.parametrize("workers", [1, 32])
@in_virtual_time
async def test_nobody_is_final_when_all_are_suppressed(workers):
    engine = guarded(rules=suppressing(10))
    assert await engine.pipeline(contacts(300), workers=workers).run() is RunOutcome.HALTED
    assert statuses(engine) == {Status.READY}
    assert "rules.suppression_file" in halts(engine)[0]
    assert not engine.platform.requests


@in_virtual_time
async def test_nobody_is_final_when_all_are_expired():
    engine = guarded()
    assert await engine.pipeline(expired(300), workers=8).run() is RunOutcome.HALTED
    assert statuses(engine) == {Status.READY}
    assert all(s in halts(engine)[0] for s in ("expires_at", "source.timezone", "date_format"))


@in_virtual_time
async def test_nobody_is_final_when_no_time_zone_is_known():
    quiet = LocalQuietHours(QuietHours(()), ZoneInfo("UTC"), "zone", UnknownZone.REJECT)
    people = [contact(one, attributes={"zone": "Mars"}) for one in range(1, 301)]
    engine = guarded(rules=CampaignRules(quiet=quiet))
    assert await engine.pipeline(people, workers=8).run() is RunOutcome.HALTED
    assert statuses(engine) == {Status.READY}
    assert "rules.unknown_timezone" in halts(engine)[0]


@in_virtual_time
async def test_a_list_of_which_a_part_is_suppressed_goes_on():
    engine = guarded(rules=suppressing(3))
    assert await engine.pipeline(contacts(500), workers=16).run() is RunOutcome.DONE
    assert not halts(engine)
    assert engine.ledger.count(Status.SKIPPED) == 150
    assert engine.ledger.count(Status.OPENED) == 350


@in_virtual_time
async def test_a_part_that_expires_in_the_middle_halts_and_goes_on_when_a_person_says_so():
    engine = guarded()
    people = [*contacts(300), *(contact(one, expires_at=1.0) for one in range(301, 601))]
    running = asyncio.create_task(engine.pipeline(people, workers=8, wait_limit=600.0).run())
    await asyncio.sleep(60)
    assert engine.ledger.count(Status.SKIPPED) == 0
    assert engine.stream.approve("play")
    assert await running is RunOutcome.DONE
    assert engine.ledger.count(Status.SKIPPED) == 300
    assert engine.ledger.count(Status.OPENED) == 300


@in_virtual_time
async def test_suppressed_by_what_the_state_check_names():
    """Each of them passed the rules once before, which is no second answer."""
    rules = CampaignRules(suppressed=lambda _ids, addresses: any(addresses))
    engine = guarded(rules=rules)
    assert await engine.pipeline(contacts(100), workers=8).run() is RunOutcome.HALTED
    assert statuses(engine) == {Status.READY}


@in_virtual_time
async def test_a_list_that_is_suppressed_does_not_hide_one_that_is_gone():
    """The rules have their own count: most of those that are checked are gone."""
    engine = guarded(
        lambda r: GOOD[r.step] if r.step.is_send else refused(404), rules=suppressing(4)
    )
    assert await engine.pipeline(contacts(300), workers=8).run() is RunOutcome.HALTED
    assert engine.ledger.count(Status.REJECTED) == 0


@in_virtual_time
async def test_claims_go_back_with_their_own_due_time():
    """Else what was put back ahead of the others would be behind them."""
    engine = guarded()
    await engine.ledger.admit(Batch(contacts(2)), START, 2)
    ahead = Claim(1, contacts(2)[0], due=START - 300.0)
    await engine.campaign_run.release([ahead, Claim(2, contacts(2)[1])])
    assert engine.ledger.rows[1].due == START - 300.0
    assert statuses(engine) == {Status.READY}


@in_virtual_time
async def test_what_is_held_is_judged_when_the_source_fails():
    engine = guarded(rules=suppressing(10))
    source = ListSource(Batch(contacts(2)), SourceError("the file is gone"), seconds=1)
    with pytest.raises(SourceError):
        await engine.pipeline(source=source).run()
    ends = {row.settlement.reason for row in engine.ledger.rows.values()}
    assert ends == {Reason.SUPPRESSED}
