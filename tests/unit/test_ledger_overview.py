"""What the gauges read of a ledger: all contacts at one moment, waits, and the file."""

import asyncio

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.contact_history import entry
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers import due_count, file_state
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.read import earlier_waits
from dispatcher.ledgers.write.commit_times import CommitTimes
from dispatcher.ports import Batch, Settlement, Waits

NOW = 1000.0


def contacts(count, **more):
    return [Contact(f"key-{n}", f"conversation-{n}", "Hello", **more) for n in range(count)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


async def opened(path, now=NOW, campaign="c"):
    return await SqliteLedger.open(path, campaign, now=lambda: now)


async def put_off(ledger, claims, reason, due, at=NOW):
    await asyncio.gather(
        *(ledger.defer(one.id, due, NEW, [entry(at, "deferred", reason, 9.0)]) for one in claims)
    )


async def test_backlog_and_totals_are_of_one_moment(path):
    """Together they have every contact once, and the file has a size."""
    ledger = await opened(path)
    admitted = await ledger.admit(Batch(contacts(10)), NOW, 6)
    await put_off(ledger, admitted.claims[:2], "quiet_hours", NOW + 60)
    settled = Settlement(admitted.claims[2].id, Status.SKIPPED, Reason.EXPIRED, NOW, NEW)
    await ledger.settle(settled)
    overview = await ledger.overview(NOW)
    assert overview.totals.by_status == {
        (Status.READY, None): 6,
        (Status.CLAIMED, None): 3,
        (Status.SKIPPED, Reason.EXPIRED): 1,
    }
    assert (overview.backlog.due, overview.backlog.later) == (4, 2)
    assert overview.backlog == await ledger.backlog(NOW)
    assert overview.totals == await ledger.totals()
    assert overview.file.size > 4096
    assert overview.file.free > 0
    await ledger.close()


async def test_a_large_number_of_due_contacts_is_counted_once_a_minute(path, monkeypatch):
    """It is old then, but never more than there are, so that the sum stays right."""
    monkeypatch.setattr(due_count, "LARGE", 4)
    ledger = await opened(path)
    admitted = await ledger.admit(Batch(contacts(10)), NOW, 4)
    assert (await ledger.overview(NOW)).backlog.due == 6
    await ledger.release([claim.id for claim in admitted.claims])
    kept = (await ledger.overview(NOW + 59)).backlog
    assert (kept.due, kept.later) == (6, 4)
    counted = (await ledger.overview(NOW + 60)).backlog
    assert (counted.due, counted.later) == (10, 0)
    await ledger.claim(7, NOW + 60)
    assert (await ledger.overview(NOW + 61)).backlog.due == 3
    await ledger.close()


async def test_commits_are_measured_for_each_campaign_since_its_last_overview(path):
    """The mean of one campaign does not take anything from that of another one."""
    one = await opened(path, campaign="one")
    two = await one.for_campaign("two")
    admitted = await one.admit(Batch(contacts(3)), NOW, 3)
    await put_off(one, admitted.claims, "throttled", NOW + 1)
    assert (await one.overview(NOW)).file.commit > 0
    assert (await two.overview(NOW)).file.commit > 0
    assert (await one.overview(NOW)).file.commit == 0
    await one.close()


def test_the_mean_of_commits():
    """It is of those since then; of none it is 0."""
    before = CommitTimes().plus(1.0)
    assert before.plus(0.25).plus(0.75).mean_since(before) == 0.5
    assert before.mean_since(before) == 0.0


def test_a_file_that_is_gone_has_no_size(tmp_path):
    """Metrics never end a run."""
    assert file_state.file_size(tmp_path / "none.db") == 0
    assert file_state.free_bytes(tmp_path / "none" / "none.db") == 0


async def test_the_next_run_knows_why_contacts_wait(path):
    """By the last entry of their history; a new one waits for its first date."""
    ledger = await opened(path)
    new = [*contacts(6), Contact("late", "late", "Hello", not_before=NOW + 40.5)]
    admitted = await ledger.admit(Batch(new), NOW, 6)
    assert admitted.later == [NOW + 40.5]
    await put_off(ledger, admitted.claims[:3], "quiet_hours", NOW + 60.5)
    await put_off(ledger, admitted.claims[3:4], "not_ended", NOW + 60.9)
    await put_off(ledger, admitted.claims[4:5], "throttled", NOW + 5)
    assert list(await ledger.earlier_waits(NOW)) == []
    await ledger.close()

    again = await opened(path, NOW + 10)
    await again.recover()
    known = [
        Waits("not_before", NOW + 40, 1), Waits("not_ended", NOW + 60, 1),
        Waits("quiet_hours", NOW + 60, 3),
    ]  # fmt: skip
    assert sorted(await again.earlier_waits(NOW + 10)) == known
    more = await again.admit(Batch([Contact("x", "x", "Hello", not_before=NOW + 99)]), NOW + 10, 0)
    assert more.later == [NOW + 99]
    (claim, *_) = await again.claim(1, NOW + 10)
    await put_off(again, [claim], "throttled", NOW + 200, at=NOW + 11)
    assert sorted(await again.earlier_waits(NOW + 10)) == known
    await again.close()


async def test_of_very_many_a_part_is_read(path, monkeypatch):
    """The rest waits for another reason, as far as is known."""
    monkeypatch.setattr(earlier_waits, "MOST_CONTACTS", 2)
    ledger = await opened(path)
    admitted = await ledger.admit(Batch(contacts(5)), NOW, 5)
    await put_off(ledger, admitted.claims, "quiet_hours", NOW + 60)
    await ledger.close()
    again = await opened(path, NOW + 1)
    assert list(await again.earlier_waits(NOW + 1)) == [Waits("quiet_hours", NOW + 60, 2)]
    await again.close()


async def test_a_ledger_that_is_closed_meanwhile_leaves_no_log_behind(path):
    """The last connection to the file is the one that writes."""
    ledger = await opened(path)
    reading = asyncio.ensure_future(ledger.earlier_waits(NOW))
    await asyncio.sleep(0)
    await ledger.close()
    assert list(await reading) == []
    assert [file.name for file in path.parent.glob("ledger.db-*")] == []
