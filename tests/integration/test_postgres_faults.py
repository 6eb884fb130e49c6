"""A ledger in PostgreSQL when connections, answers, servers or this process fail: nothing twice."""

import asyncio
import gc
import logging
import time
from dataclasses import replace

import psycopg
import pytest
from structlog.testing import capture_logs

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.ledgers.postgres import recent_groups, watchdog
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.lost_commits import LostCommitsError
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import (
    Batch,
    Intent,
    Lease,
    LeaseKind,
    LeaseLostError,
    LedgerError,
    Recovered,
    Settlement,
    Stream,
)
from dispatcher.ports.questions import BEGINNING, LineageRows, StandbyCount
from tests.support.pg_messages import Back, Front
from tests.support.pg_proxy import Does, Rule, pg_proxy
from tests.support.postgres_ledger import address_of
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
NOW = 1000.0


@pytest.fixture
def direct(ledger_databases):
    """The address past the proxy."""
    address = ledger_databases.create(lease_seconds=3.0)
    yield address
    ledger_databases.drop(address)


@pytest.fixture
def proxy(postgres_server):
    with pg_proxy(postgres_server.port) as running:
        yield running


@pytest.fixture
def address(direct, proxy):
    name = direct.url.rpartition("/")[2]
    return address_of(proxy.port, name, lease_seconds=3.0, away_seconds=60.0)


@pytest.fixture
async def open_store(address):
    opened = []

    async def open_again(where=address, **more):
        opened.append(await PostgresStore.open(where, now=lambda: NOW, **more))
        return opened[-1]

    yield open_again
    for store in opened:
        await store.close()


def contacts(count, person=None, first=0):
    numbers = range(first, first + count)
    return [Contact(f"key-{n}", f"talk-{n}", "Hello", external_contact_id=person) for n in numbers]


async def claims_of(ledger, count, **more):
    return (await ledger.admit(Batch(contacts(count, **more)), NOW, count)).claims


def intent(claim, **more):
    who = claim.contact.external_contact_id
    decision = Notify(claim.contact.conversation_id)
    return Intent(claim.id, Step.NOTIFY, decision, NOW, claim.progress, who, **more)


def notified(claim):
    return Settlement(
        claim.id, Status.NOTIFIED, Reason.DELIVERED, NOW, replace(NEW, sends=1),
        relation=Relation.NOTIFIED, message_id="m",
    )  # fmt: skip


async def run_out(store, seconds=10.0):
    """Wait until the store may not begin a send."""
    limit = time.monotonic() + seconds
    while store.tenure.remaining_seconds() > 0:
        assert time.monotonic() < limit
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("message", "does"),
    [
        (Front.EXECUTE, Does.CUT),
        (Front.SYNC, Does.CUT),
        (Front.SYNC, Does.CUT_AFTER),
        (Back.COMPLETE, Does.CUT),
        (Back.READY, Does.CUT),
    ],
)
async def test_a_group_is_committed_once_wherever_the_connection_breaks(
    open_store, proxy, message, does
):
    """Before it, in it, after it: its answer is the same, also one that has something to say."""
    store = await open_store()
    ledger = await store.campaign("a")
    one, two, three = await claims_of(ledger, 3, person="p")
    await ledger.intend(intent(one))  # connects and prepares
    rule = proxy.add(Rule(message, does, sql="dispatcher.apply"))
    answers = await asyncio.gather(
        ledger.intend(intent(two)), ledger.settle(notified(one)), ledger.retract(three.id),
        return_exceptions=True,
    )  # fmt: skip
    assert rule.fired.is_set()
    assert answers[0] is None  # the settlement comes first
    assert answers[1] is None
    assert isinstance(answers[2], LedgerError)
    proxy.add(Rule(message, does, sql="dispatcher.apply"))
    assert await ledger.intend(intent(three)) is SendBlock.BUSY
    await ledger.settle(notified(two))
    assert (await ledger.totals()).by_status == {
        (Status.NOTIFIED, Reason.DELIVERED): 2,
        (Status.CLAIMED, None): 1,
    }
    assert len((await store.page(LineageRows(), BEGINNING)).rows) == 2
    assert store.away_since is None


@pytest.mark.parametrize("sql", ["dispatcher.begin_group", "dispatcher.admit", "COMMIT"])
@pytest.mark.parametrize(("message", "does"), [(Front.SYNC, Does.CUT), (Back.READY, Does.CUT)])
async def test_an_admission_is_committed_once(open_store, proxy, sql, message, does):
    """Its claims are handed out once, and the place of the stream moves once."""
    store = await open_store()
    ledger = await store.campaign("a")
    await claims_of(ledger, 1, first=100)
    if sql == "COMMIT" and message is Front.SYNC:
        message = Front.QUERY
    rule = proxy.add(Rule(message, does, sql=sql))
    stream = Stream("s", "s", "1", 1, done=False)
    admitted = await ledger.admit(Batch(contacts(3), stream=stream), NOW, 2)
    assert rule.fired.is_set()
    assert (admitted.admitted, len(admitted.claims)) == (3, 2)
    await ledger.intend(intent(admitted.claims[0]))
    totals = await ledger.totals()
    assert (totals.rows, totals.admitted) == (4, 4)
    assert len(await ledger.claim(9, NOW)) == 1


async def test_reads_go_on_after_a_cut(open_store, proxy):
    store = await open_store()
    ledger = await store.campaign("a")
    await claims_of(ledger, 1)
    assert (await ledger.totals()).admitted == 1
    proxy.cut()
    assert (await ledger.totals()).admitted == 1


async def test_a_server_that_is_silent_is_left_after_a_time(open_store, proxy, monkeypatch):
    """It acknowledges all, and answers nothing: the socket is shut down, the group sent again."""
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 1.0)
    store = await open_store()
    ledger = await store.campaign("a")
    (claim,) = await claims_of(ledger, 1)
    rule = proxy.add(Rule(Front.SYNC, Does.HALF_OPEN_AFTER, sql="dispatcher.apply"))
    started = time.monotonic()
    assert await ledger.intend(intent(claim)) is None
    assert rule.fired.is_set()
    assert 1.0 <= time.monotonic() - started < 5
    with pytest.raises(LedgerError, match="it is sending"):
        await ledger.intend(intent(claim))


async def test_while_the_server_is_away_all_wait_and_nothing_is_sent(open_store, proxy):
    """The tenure ends, so that no send begins; then all goes on as if nothing had been."""
    store = await open_store()
    ledger = await store.campaign("a")
    one, two = await claims_of(ledger, 2)
    assert await ledger.intend(intent(one)) is None
    assert store.tenure.remaining_seconds() > 0
    proxy.refuse()
    proxy.cut()
    waiting = asyncio.gather(ledger.settle(notified(one)), ledger.intend(intent(two)))
    reading = asyncio.ensure_future(ledger.totals())
    await run_out(store)
    assert store.away_since is not None
    assert not waiting.done()
    assert not reading.done()
    proxy.accept()
    await asyncio.wait_for(waiting, 10)
    await asyncio.wait_for(reading, 10)
    assert store.away_since is None
    assert store.tenure.remaining_seconds() > 0


async def test_after_too_long_all_fails_for_good(open_store, proxy, address, caplog):
    """Also what comes later, and nothing is left over that nobody has looked at."""
    store = await open_store(replace(address, away_seconds=1.0))
    ledger = await store.campaign("a")
    (claim,) = await claims_of(ledger, 1)
    proxy.refuse()
    proxy.cut()
    waiting = [asyncio.ensure_future(ledger.intend(intent(claim))) for _ in range(2)]
    reads = [asyncio.ensure_future(ledger.totals()) for _ in range(2)]
    reads += [asyncio.ensure_future(store.page(LineageRows(), BEGINNING)) for _ in range(2)]
    await asyncio.sleep(0.2)
    for cancelled in (waiting[1], reads[1], reads[3]):
        cancelled.cancel()
    found = await asyncio.gather(*waiting, *reads, return_exceptions=True)
    assert [type(it) for it in found] == [
        LedgerError, asyncio.CancelledError, LedgerError, asyncio.CancelledError, LedgerError,
        asyncio.CancelledError,
    ]  # fmt: skip
    assert "has not answered for" in str(found[0])
    assert store.tenure.remaining_seconds() <= 0
    with pytest.raises(LedgerError):
        await ledger.release([claim.id])
    await store.close()
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert logging.ERROR not in [record.levelno for record in caplog.records]


async def test_lost_commits_end_the_run_and_every_contact_is_named(open_store, proxy, direct):
    """Also those that the server does not have any more, and not the first few alone."""
    store = await open_store()
    ledger = await store.campaign("a")
    claims = await claims_of(ledger, 30)
    with connect(direct) as server:
        (before,) = server.execute("SELECT group_no FROM dispatcher.daemon").fetchone()
        late = await claims_of(ledger, 1, first=30)
        for claim in claims:
            await ledger.intend(intent(claim))
        # the server that takes over does not have what was committed last
        server.execute("UPDATE dispatcher.daemon SET group_no = %s", [before])
        server.execute("DELETE FROM dispatcher.contact WHERE id = %s", [late[0].id])
    with capture_logs() as logs:
        proxy.cut()
        with pytest.raises(LostCommitsError, match=r"has lost 31 commits") as error:
            await ledger.retract(claims[0].id)
    named = {
        (it["campaign"], it["contact_key"]) for it in logs if it["event"] == "ledger.lost_commit"
    }
    assert named == {("a", f"key-{n}") for n in range(31)}
    assert len(error.value.contacts) == 31
    assert store.tenure.remaining_seconds() <= 0
    with pytest.raises(LedgerError):
        await ledger.totals()


async def test_lost_posts_are_named_and_no_contact_by_the_id_of_another(open_store, proxy, direct):
    """No source has a post again. Ids that were lost are given again, to other contacts."""
    store = await open_store()
    ledger = await store.campaign("a")
    with connect(direct) as server:
        (before,) = server.execute("SELECT group_no FROM dispatcher.daemon").fetchone()
        (late,) = await claims_of(ledger, 1)
        await ledger.admit(Batch(contacts(2, first=1)), NOW, 0)
        await ledger.claim(1, NOW)  # the first of them
        server.execute("UPDATE dispatcher.daemon SET group_no = %s", [before])
        server.execute("DELETE FROM dispatcher.contact WHERE id <> %s", [late.id])
        server.execute("UPDATE dispatcher.contact SET key = 'of somebody else'")
    with capture_logs() as logs:
        proxy.cut()
        with pytest.raises(LostCommitsError):
            await ledger.retract(late.id)
    named = [it["contact_key"] for it in logs if it["event"] == "ledger.lost_commit"]
    assert sorted(named) == ["key-0", "key-1", "key-2"]


async def test_contacts_that_cannot_be_named_are_counted(open_store, proxy, direct, monkeypatch):
    """A run keeps the contacts of its last commits, not of all."""
    monkeypatch.setattr(recent_groups, "MAX_CONTACTS", 5)
    store = await open_store()
    ledger = await store.campaign("a")
    claims = await claims_of(ledger, 3)
    with connect(direct) as server:
        (before,) = server.execute("SELECT group_no FROM dispatcher.daemon").fetchone()
        for claim in claims:
            await ledger.intend(intent(claim))
        for claim in claims:
            await ledger.settle(notified(claim))
        server.execute("UPDATE dispatcher.daemon SET group_no = %s", [before])
    with capture_logs() as logs:
        proxy.cut()
        words = r"The 3 contacts are named .* not all: those of the first 1 of these commits are"
        with pytest.raises(LostCommitsError, match=words):
            await ledger.retract(claims[0].id)
    (loss,) = [it for it in logs if it["event"] == "ledger.loss"]
    assert (loss["commits"], loss["contacts"], loss["unnamed_commits"]) == (6, 3, 1)


@pytest.mark.parametrize("known", [True, False])
async def test_a_standby_that_has_lost_nothing_but_looks_goes_on(open_store, proxy, direct, known):
    """Also if its registration is lost. It pauses all campaigns: the leader may not live to do it.

    It takes over later on, and finds the pause.
    """
    leader, standby = await open_store(direct), await open_store()
    await leader.campaign("a")
    lease = Lease(LeaseKind.CAMPAIGN, "a")
    for _ in range(3):
        assert await standby.try_take([lease])
    its_row = "WHERE id = (SELECT max(id) FROM dispatcher.daemon)"
    back = f"UPDATE dispatcher.daemon SET group_no = group_no - 2 {its_row}"
    with connect(direct) as server:
        server.execute(back if known else f"DELETE FROM dispatcher.daemon {its_row}")
        with capture_logs() as logs:
            proxy.cut()
            for _ in range(3):
                (held,) = await standby.try_take([lease])
        assert held.lease == lease
        assert [it["contacts"] for it in logs if it["event"] == "ledger.loss"] == [0]
        paused = "SELECT paused_at IS NOT NULL FROM dispatcher.campaign"
        assert server.execute(paused).fetchall() == [(True,)]
    await leader.close()
    assert not await standby.try_take([lease])
    ledger = await standby.campaign("a")
    await ledger.admit(Batch(contacts(1)), NOW, 0)


async def test_standbys_are_counted_by_the_database(open_store, direct):
    """A leader is none, and neither is one that has ended."""
    leader = await open_store(direct)
    await leader.campaign("a")
    assert await leader.look(StandbyCount()) == 0
    ending, waiting = await open_store(direct), await open_store(direct)
    assert await leader.look(StandbyCount()) == 2
    await ending.close()
    assert await leader.look(StandbyCount()) == 1
    await waiting.close()
    assert await leader.look(StandbyCount()) == 0


async def test_a_standby_that_has_taken_over_has_something_to_lose(open_store, proxy, direct):
    """The loss of its lease alone: another run may have it."""
    standby = await open_store()
    lease = Lease(LeaseKind.CAMPAIGN, "a")
    assert not await standby.try_take([lease])
    with connect(direct) as server:
        server.execute("UPDATE dispatcher.daemon SET group_no = group_no - 1")
        server.execute("DELETE FROM dispatcher.lease")
    proxy.cut()
    with pytest.raises(LostCommitsError):
        await standby.campaign("a")


async def test_after_lost_commits_no_other_run_goes_on(open_store, proxy, direct):
    """Neither a standby, which knows of no loss and may have taken over already, nor a restart."""
    store, standby = await open_store(), await open_store(direct)
    ledger = await store.campaign("a")
    await store.campaign("b")
    claims = await claims_of(ledger, 2)
    with connect(direct) as server:
        await ledger.intend(intent(claims[0]))
        proxy.refuse()
        proxy.cut()
        server.execute(
            "UPDATE dispatcher.daemon SET group_no = group_no - 1, fenced = true "
            "WHERE id = (SELECT min(id) FROM dispatcher.daemon)"
        )
        proxy.accept()
        with pytest.raises(LostCommitsError, match="all campaigns are paused"):
            await ledger.intend(intent(claims[1]))
        paused = "SELECT name FROM dispatcher.campaign WHERE paused_at IS NOT NULL ORDER BY name"
        assert server.execute(paused).fetchall() == [("a",), ("b",)]
    await asyncio.wait_for(standby.orders_changed(), 30)


async def test_a_run_that_stood_still_is_replaced_and_commits_nothing_more(
    open_store, proxy, direct
):
    """As after SIGSTOP or without a network: it stops sending before the other begins."""
    stopped = await open_store()
    ledger = await stopped.campaign("a")
    one, two = await claims_of(ledger, 2)
    await ledger.intend(intent(one))
    other = await open_store(direct)
    lease = Lease(LeaseKind.CAMPAIGN, "a")
    assert await other.try_take([lease])
    proxy.stall()
    late = asyncio.ensure_future(ledger.intend(intent(two)))
    while held := await other.try_take([lease]):
        assert held[0].left > -1
        await asyncio.sleep(0.05)
    assert stopped.tenure.remaining_seconds() <= 0
    again = await other.campaign("a")
    assert await other.take_up() == {"a": Recovered(released=1, in_doubt=1)}
    proxy.flow()
    with pytest.raises(LeaseLostError, match="another run has taken over"):
        await late
    for call in (ledger.settle(notified(one)), ledger.totals()):
        with pytest.raises(LedgerError):
            await call
    assert [claim.id for claim in await again.claim(9, NOW)] == [two.id]
    assert [it.id for it in await again.due_in_doubt(9, NOW)] == [one.id]


async def test_who_comes_back_in_time_goes_on(open_store, proxy, direct):
    """The lease has run out, but nobody wanted it."""
    store = await open_store()
    ledger = await store.campaign("a")
    (claim,) = await claims_of(ledger, 1)
    proxy.stall()
    await run_out(store)
    await asyncio.sleep(1.2)
    proxy.flow()
    assert await ledger.intend(intent(claim)) is None
    assert store.tenure.remaining_seconds() > 0


async def test_a_session_that_is_left_open_is_waited_for(open_store, proxy, direct):
    """It may still commit: nothing is sent again before it has ended."""
    store = await open_store()
    ledger = await store.campaign("a")
    (claim,) = await claims_of(ledger, 1)
    with psycopg.connect(direct.url, password=direct.password) as older:
        (group,) = older.execute("SELECT group_no FROM dispatcher.daemon").fetchone()
        older.execute("SELECT dispatcher.begin_group(%s, %s, 3)", (store._me, group + 1))
        proxy.cut()
        late = asyncio.ensure_future(ledger.intend(intent(claim)))
        await asyncio.sleep(0.5)
        assert not late.done()
        older.rollback()
        assert await late is None


async def test_an_operators_nudge_arrives(open_store, direct):
    store = await open_store()
    await store.campaign("a")
    changed = asyncio.ensure_future(store.orders_changed())
    await asyncio.sleep(0.1)
    assert not changed.done()
    with connect(direct) as server:
        server.execute("UPDATE dispatcher.daemon SET nudge = nudge + 1")
    await asyncio.wait_for(changed, 5)


async def test_a_server_that_warns_at_each_change_is_used(direct, open_store):
    """It does, for example, when it has few transaction ids left."""
    with connect(direct) as server:
        server.execute("""
            CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE WARNING 'few transactions are left'; RETURN NULL; END $$
        """)
        server.execute(
            "CREATE TRIGGER warn AFTER UPDATE ON dispatcher.daemon EXECUTE FUNCTION warn()"
        )
    async with asyncio.timeout(30):
        store = await open_store(direct)
        assert not await store.try_take([Lease(LeaseKind.CAMPAIGN, "april")])
        ledger = await store.campaign("april")
        assert len(await claims_of(ledger, 3)) == 3
