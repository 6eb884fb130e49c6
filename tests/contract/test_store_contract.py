"""What every store promises: orders, questions, pages, what dead runs left, streams, tenure."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ports import (
    Batch,
    CommandError,
    Intent,
    Lease,
    LeaseKind,
    LedgerError,
    LedgerLockedError,
    Recovered,
    Settlement,
    Stream,
    StreamMovedError,
)
from dispatcher.ports.care import ErasureTarget, Pruned, PruneOrder
from dispatcher.ports.notices import NOTICE_SECONDS, Notice
from dispatcher.ports.orders import (
    ApproveOrder,
    DropOrder,
    PauseOrder,
    ReplayOrder,
    ResumeOrder,
    Selection,
)
from dispatcher.ports.questions import (
    BEGINNING,
    CampaignNames,
    ContactRows,
    DoubtsElsewhere,
    HistoryOf,
    LeasesNow,
    LineageRows,
    ParkedContacts,
    RejectedRows,
    StatusOf,
)

NOW = 1000.0
EVERYTHING = Selection(before=2 * NOW)


def contacts(*numbers):
    return [Contact(f"key-{n}", f"conversation-{n}", f"Hello {n}") for n in numbers]


async def admitted(ledger, *numbers):
    return (await ledger.admit(Batch(contacts(*numbers)), NOW, len(numbers))).claims


async def intend(ledger, claim):
    decision = Notify(claim.contact.conversation_id)
    await ledger.intend(Intent(claim.id, Step.NOTIFY, decision, NOW, claim.progress))


async def deliver(ledger, claim):
    await intend(ledger, claim)
    await ledger.settle(
        Settlement(
            claim.id,
            Status.NOTIFIED,
            Reason.DELIVERED,
            NOW + 1,
            replace(claim.progress, sends=1),
            relation=Relation.NOTIFIED,
            conversation_id=claim.contact.conversation_id,
            message_id=f"message-{claim.id}",
        )
    )


async def park(ledger, *numbers, reason=Reason.EXHAUSTED):
    for claim in await admitted(ledger, *numbers):
        await ledger.settle(Settlement(claim.id, Status.PARKED, reason, NOW, NEW))


async def all_rows(store, rows, cursor=BEGINNING):
    """Return the rows after a cursor, and the cursor after them."""
    found, more = [], True
    while more:
        page = await store.page(rows, cursor)
        found += page.rows
        cursor, more = page.cursor, page.more
    return found, cursor


async def test_the_same_campaign_is_the_same_ledger(store):
    """What one of them has admitted, the other one claims."""
    await (await store.campaign("a")).admit(Batch(contacts(1)), NOW, 0)
    assert len(await (await store.campaign("a")).claim(9, NOW)) == 1
    assert await store.look(CampaignNames()) == ["a"]


async def test_what_an_ended_run_left_is_taken_up(open_store):
    """Claimed contacts are ready again; sending ones are in doubt, and nothing is sent twice."""
    ended = await open_store("a")
    one, two, _ = await admitted(await ended.campaign("a"), 1, 2, 3)
    await intend(await ended.campaign("a"), one)
    await (await ended.campaign("b")).admit(Batch(contacts(4)), NOW, 1)
    again = await open_store("a")
    ledger = await again.campaign("a")
    assert await again.take_up() == {"a": Recovered(released=2, in_doubt=1)}
    assert [claim.id for claim in await ledger.claim(9, NOW)] == [two.id, two.id + 1]
    assert await (await again.campaign("b")).claim(9, NOW) == []


async def test_replay_and_drop(store):
    """Parked in doubt becomes in doubt again, all others are ready; dropped ones are skipped."""
    ledger = await store.campaign("a")
    await park(ledger, 1, 2)
    await park(ledger, 3, reason=Reason.IN_DOUBT)
    await park(await store.campaign("b"), 4)
    one = replace(EVERYTHING, campaign="a", names=("key-2",))
    assert await store.order(DropOrder(one)) == {"dropped": 1}
    here = replace(EVERYTHING, campaign="a")
    assert await store.order(ReplayOrder(here)) == {"ready": 1, "in_doubt": 1}
    left = await store.look(ParkedContacts(EVERYTHING))
    assert [(each["campaign"], each["key"]) for each in left] == [("b", "key-4")]
    (status,) = await store.look(StatusOf("a", NOW))
    assert status.totals.by_status == {
        (Status.READY, None): 1,
        (Status.IN_DOUBT, None): 1,
        (Status.SKIPPED, Reason.DROPPED): 1,
    }


async def test_pause_and_resume(store):
    """Of one campaign or of all; the answer has those that it concerned."""
    for name in "ab":
        await store.campaign(name)
    assert set((await store.order(PauseOrder("b")))["paused"]) == {"b"}
    assert await (await store.campaign("a")).paused() is None
    assert set((await store.order(PauseOrder(None)))["paused"]) == {"a", "b"}
    assert set((await store.order(ResumeOrder("a")))["resumed"]) == {"a"}
    assert set((await store.order(ResumeOrder(None)))["resumed"]) == {"b"}


@pytest.mark.parametrize(
    "order",
    [
        PauseOrder("nobody"),
        ResumeOrder("nobody"),
        ReplayOrder(replace(EVERYTHING, campaign="nobody")),
        DropOrder(replace(EVERYTHING, campaign="nobody")),
        ApproveOrder(None),
    ],
)
async def test_an_order_that_is_wrong_changes_nothing_and_hurts_no_other(store, order):
    """It fails alone, although it may share its transaction with other work."""
    ledger = await store.campaign("a")
    results = await asyncio.gather(
        ledger.admit(Batch(contacts(1)), NOW, 1), store.order(order), return_exceptions=True
    )
    assert len(results[0].claims) == 1
    assert isinstance(results[1], CommandError)
    (status,) = await store.look(StatusOf(None, NOW))
    assert status.totals.admitted == 1
    assert status.paused_since is None


async def test_the_questions(store):
    """The status, one contact's history without its message, and the doubts of other campaigns."""
    ledger = await store.campaign("a")
    stream = Stream("file", "print", "10", 2, done=False)
    rejected = [RejectedRow("file", 2, "bad_id", "no id", b"x")]
    await ledger.admit(Batch(contacts(1), rejected, 1, stream), NOW, 0)
    (claim,) = await admitted(await store.campaign("b"), 2)
    await intend(await store.campaign("b"), claim)
    status, _ = await store.look(StatusOf(None, NOW))
    assert (status.campaign, status.totals.rows, status.backlog.due) == ("a", 3, 1)
    assert status.streams == {"print": stream}
    (history,) = await store.look(HistoryOf("key-1"))
    assert (history["key"], history["status"]) == ("key-1", "ready")
    assert "Hello" not in str(history)
    assert await store.look(DoubtsElsewhere(("a",))) == {"b": 1}
    assert await store.look(DoubtsElsewhere(("a", "b"))) == {}


@pytest.mark.parametrize(
    "question",
    [
        CampaignNames("nobody"),
        StatusOf("nobody", NOW),
        HistoryOf("nobody"),
        HistoryOf("key", "nobody"),
        ParkedContacts(replace(EVERYTHING, campaign="nobody")),
    ],
)
async def test_a_question_about_what_is_not_there(store, question):
    with pytest.raises(CommandError, match="nobody"):
        await store.look(question)


async def test_pages_of_each_kind(store):
    """Rows of one campaign, or the lineage of all; the end has a cursor for what comes later."""
    ledger, other = await store.campaign("a"), await store.campaign("b")
    rejected = [RejectedRow("file", line, "bad_id", "no id", b"x") for line in (2, 3)]
    batch = Batch(contacts(1, 2, 3), rejected)
    one, two, _ = (await ledger.admit(batch, NOW, 3)).claims
    (four,) = await admitted(other, 4)
    for there, claim in ((ledger, two), (other, four), (ledger, one)):
        await deliver(there, claim)
    lineage, cursor = await all_rows(store, LineageRows())
    assert [row.contact_key for row in lineage] == ["key-2", "key-4", "key-1"]
    found, _ = await all_rows(store, LineageRows("a"))
    assert [row.contact_key for row in found] == ["key-2", "key-1"]
    assert await all_rows(store, LineageRows(), cursor) == ([], cursor)
    found, _ = await all_rows(store, RejectedRows("a"))
    assert [(row.line, row.raw) for row in found] == [(2, b"x"), (3, b"x")]
    found, _ = await all_rows(store, ContactRows("a", Status.NOTIFIED))
    assert [row.key for row in found] == ["key-1", "key-2"]


async def test_an_empty_store_has_a_cursor(store):
    """A row that comes later is after it."""
    ledger = await store.campaign("a")
    rows, cursor = await all_rows(store, LineageRows("a"))
    assert rows == []
    (claim,) = await admitted(ledger, 1)
    await deliver(ledger, claim)
    rows, _ = await all_rows(store, LineageRows("a"), cursor)
    assert [row.contact_key for row in rows] == ["key-1"]


async def test_a_page_of_what_is_not_there(store):
    """A cursor of another kind of store, and a campaign that is not in this one."""
    await store.campaign("a")
    with pytest.raises(CommandError, match=r"cursor '\(7,8\)'"):
        await store.page(LineageRows("a"), "(7,8)")
    with pytest.raises(LedgerError, match="nobody"):
        await store.page(LineageRows("nobody"), BEGINNING)


async def test_a_cursor_misses_no_row_that_is_committed_meanwhile(store):
    """Two campaigns commit while a reader follows the lineage: it gets each row once."""
    number, found, cursor = 120, [], BEGINNING

    async def send(name, first):
        ledger = await store.campaign(name)
        for claim in await admitted(ledger, *range(first, first + number)):
            await deliver(ledger, claim)

    sending = asyncio.gather(send("a", 0), send("b", number))
    while not sending.done():
        page = await store.page(LineageRows(), cursor)
        found, cursor = [*found, *page.rows], page.cursor
    await sending
    rest, _ = await all_rows(store, LineageRows(), cursor)
    keys = [row.contact_key for row in (*found, *rest)]
    assert len(keys) == 2 * number
    assert set(keys) == {f"key-{n}" for n in range(2 * number)}


async def test_a_stream_moves_for_one_reader_only(store):
    """The second one that continues at the same place fails, and nothing of it is written."""
    ledger = await store.campaign("a")
    first = Stream("topic[0]", "topic[0]", "5", 5, done=False)
    await ledger.admit(Batch(contacts(1), stream=first, before=None), NOW, 0)
    batches = [
        Batch(contacts(number), stream=replace(first, at=at, rows=rows), before="5")
        for number, at, rows in ((2, "6", 6), (3, "7", 7))
    ]
    results = await asyncio.gather(
        *(ledger.admit(batch, NOW, 0) for batch in batches), return_exceptions=True
    )
    assert sorted(isinstance(result, StreamMovedError) for result in results) == [False, True]
    (status,) = await store.look(StatusOf("a", NOW))
    assert status.totals.admitted == 2
    assert [stream.at for stream in status.streams.values()] in (["6"], ["7"])


async def test_notices_stay_until_they_are_removed(open_store):
    """In their order, each sink its own; one with the same id takes the place of the earlier."""
    log = (await open_store()).notice_log()
    one, two, three = (Notice(event, "a", {"n": 1.5}, NOW) for event in ("x", "y", "z"))
    for notice in (one, two, three):
        await log.add("ops", notice)
    await log.add("other", one)
    await log.add("ops", replace(one, facts={"n": 2, "text": "\u00eb"}))
    await log.remove("ops", [two.id, "nobody"])
    log = (await open_store()).notice_log()
    changed = replace(one, facts={"n": 2, "text": "\u00eb"})
    assert await log.begin_run("ops", [], NOW) == [three, changed]
    assert await log.begin_run("other", [], NOW) == [one]
    assert await log.begin_run("ops", [], NOW + NOTICE_SECONDS + 1) == []


async def test_the_end_of_a_run_that_was_killed_is_due_in_the_next_one(open_store):
    """Once, with the time of the next one; a run that writes its own end has that alone."""
    log = (await open_store()).notice_log()
    first, second = (Notice("ended", name, {"outcome": "killed"}, NOW) for name in "ab")
    assert await log.begin_run("ops", [first, second], NOW) == []
    done = replace(first, facts={"outcome": "done"}, at=NOW + 1)
    await log.add("ops", done)
    later = Notice("halted", "b", {}, NOW + 2)
    await log.add("ops", later)
    log = (await open_store()).notice_log()
    own = Notice("ended", "a", {"outcome": "killed"}, NOW + 9)
    found = await log.begin_run("ops", [own], NOW + 9)
    assert found == [done, later, replace(second, at=NOW + 9)]
    await log.remove("ops", [notice.id for notice in found])
    log = (await open_store()).notice_log()
    assert await log.begin_run("ops", [], NOW + 10) == [replace(own, at=NOW + 10)]


async def test_who_holds_the_store_may_send(store):
    """While a run has the store it has a tenure, and the store answers."""
    assert store.tenure.remaining_seconds() > 0
    assert (store.away_since, store.away_reason) == (None, "")


async def test_a_closed_store_fails_for_good(store):
    """It raises instead of waiting."""
    await store.campaign("a")
    await store.close()
    with pytest.raises(LedgerError):
        await store.order(PauseOrder(None))


async def test_an_operator_beside_the_run(store, operator):
    """It reads what the run has committed."""
    ledger = await store.campaign("a")
    (claim,) = await admitted(ledger, 1)
    await deliver(ledger, claim)
    store.record_socket("/run/socket")
    with operator:
        assert operator.look(CampaignNames()) == ["a"]
        (row,) = operator.page(LineageRows(), BEGINNING).rows
        assert row.contact_key == "key-1"
        assert operator.socket() == "/run/socket"


async def test_an_operator_without_a_run(open_store, operator):
    """It carries the orders out itself; the next run finds the contacts."""
    store = await open_store("a")
    await park(await store.campaign("a"), 1)
    await store.close()
    assert operator.order(ReplayOrder(EVERYTHING)) == {"ready": 1, "in_doubt": 0}
    with pytest.raises(CommandError, match="nobody"):
        operator.order(PauseOrder("nobody"))
    ledger = await (await open_store("a")).campaign("a")
    assert len(await ledger.claim(9, 1e12)) == 1


async def test_old_contacts_are_pruned_and_a_person_is_erased(open_store, operator):
    """Not while a run has the store for itself, as that of a file. No key becomes new again."""
    store = await open_store("a")
    ledger = await store.campaign("a")
    for claim in await admitted(ledger, 1, 2, 3):
        await deliver(ledger, claim)
    if isinstance(operator, SqliteOperatorStore):
        with pytest.raises(LedgerLockedError):
            operator.tend(PruneOrder(NOW + 2))
    await store.close()
    assert operator.tend(PruneOrder(NOW + 2, dry=True))[0] == Pruned(2, 2, 0)
    assert operator.tend(PruneOrder(NOW + 2))[0] == Pruned(2, 2, 0)
    erased = operator.tend(ErasureTarget("key-3"))
    assert (erased.contacts, erased.refused, erased.in_log) == (1, (), False)
    assert operator.tend(ErasureTarget("key-3")).known_before
    assert [finding.name for finding in operator.verify() if finding.count] == []
    ledger = await (await open_store("a")).campaign("a")
    assert (await ledger.admit(Batch(contacts(1, 2, 3)), NOW, 0)).duplicates == 3


async def test_the_newest_rejected_row_is_not_pruned(open_store, operator):
    """However old it is: readers have its id, and no later row may have the same."""
    store = await open_store("a")
    rejected = [RejectedRow("file", line, "bad_id", "no id", b"x") for line in (2, 3)]
    await (await store.campaign("a")).admit(Batch([], rejected), NOW, 0)
    _, cursor = await all_rows(store, RejectedRows("a"))
    await store.close()
    for dry in (True, False):
        assert operator.tend(PruneOrder(NOW + 1, dry=dry))[0] == Pruned(0, 0, 1)
    assert operator.tend(PruneOrder(NOW + 1))[0] == Pruned(0, 0, 0)
    store = await open_store("a")
    assert [row.line for row in (await all_rows(store, RejectedRows("a")))[0]] == [3]
    await (await store.campaign("a")).admit(Batch([], rejected[:1]), NOW, 0)
    assert [row.line for row in (await all_rows(store, RejectedRows("a"), cursor))[0]] == [2]


def test_a_store_that_is_not_there(operator_of_nothing):
    """Nothing is made for a name that was mistyped."""
    with pytest.raises(LedgerError, match=r"there is no (such file|ledger)"):
        operator_of_nothing.look(CampaignNames())
    with pytest.raises(LedgerError, match=r"there is no (such file|ledger)"):
        operator_of_nothing.order(PauseOrder(None))


async def test_a_run_gets_its_leases_and_is_named_as_who_has_them(open_store, operator):
    """A store that a run has for itself has none to give; nobody else has any after its end."""
    store = await open_store("a")
    lease = Lease(LeaseKind.CAMPAIGN, "a")
    assert [*await store.try_take([lease]), *await store.try_take([lease])] == []
    assert store.tenure.remaining_seconds() > 0
    found = await store.look(LeasesNow())
    assert [one.lease for one in found] == [one.lease for one in operator.look(LeasesNow())]
    assert {one.lease for one in found} <= {lease}
    assert all(one.left > 0 and one.daemon and one.host for one in found)
    await store.close()
    assert list(operator.look(LeasesNow())) == []


async def test_an_order_of_another_process_is_noticed(open_store, operator):
    """Of a file no other process can give one, while a run has it; then nothing is noticed."""
    store = await open_store("a")
    noticed = asyncio.ensure_future(store.orders_changed())
    order = PauseOrder("a")
    if isinstance(operator, SqliteOperatorStore):
        with pytest.raises(LedgerLockedError):
            operator.order(order)
        assert not (await asyncio.wait([noticed], timeout=0.05))[0]
    else:
        operator.order(order)
        await asyncio.wait_for(asyncio.shield(noticed), 10)
        assert await (await store.campaign("a")).paused() is not None
    noticed.cancel()
