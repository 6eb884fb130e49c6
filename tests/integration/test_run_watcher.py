"""What `dispatcher top` knows of a run: also after its end, and while its ledger is away."""

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace

import pytest

from dispatcher.app.control import ledger_watch
from dispatcher.app.control import watcher as watcher_module
from dispatcher.app.control.client import ControlError
from dispatcher.app.control.server import serve_commands
from dispatcher.app.control.watcher import RunWatcher
from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.http_server.unix_socket import open_private_socket, open_socket
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import SOCKET_OFF, Batch, CommandError, HeldLease, LedgerError, Settlement
from dispatcher.ports.leases import Lease, LeaseKind
from dispatcher.ports.snapshot import LedgerSnapshot
from dispatcher.settings import LedgerPlace
from tests.support.snapshots import campaign, run


@pytest.fixture
async def path(tmp_path):
    """A ledger of one campaign with a parked contact and a ready one."""
    path = tmp_path / "ledger.db"
    store = await SqliteStore.open(path, "c")
    ledger = await store.campaign("c")
    batch = Batch([Contact(key, f"conversation-{key}", "Hi") for key in ("a", "b")])
    claim, _ = (await ledger.admit(batch, 1.0, 2)).claims
    await ledger.settle(Settlement(claim.id, Status.PARKED, Reason.EXHAUSTED, 2.0, NEW))
    await store.close()
    return path


@asynccontextmanager
async def running(path, pid, **more):
    """A run that answers with a snapshot of the campaign."""
    shown = run(campaign("c"), pid=pid, **{"ledger": LedgerSnapshot(str(path)), **more})

    async def snapshot(_arguments):
        return asdict(shown)

    async with AsyncExitStack() as stack:
        store = await SqliteStore.open(path, "c")
        stack.push_async_callback(store.close)
        control = open_socket(path, "")
        await serve_commands(stack, control, {"snapshot": snapshot})
        store.record_socket(str(control.path))
        yield


async def look(watcher, **more):
    return await asyncio.to_thread(watcher.look, **more)


async def test_a_run_is_watched_over_its_end_and_its_restart(path):
    """After the end the ledger's contacts are shown; the next run is found, with the pid before."""
    watcher = RunWatcher(LedgerPlace.of_file(path), None)
    async with running(path, 11):
        sight = await look(watcher, first=True)
        assert (sight.snapshot.pid, sight.trouble, sight.ended) == (11, "", False)
        assert sight.snapshot.campaigns[0].left == 4687
    for _ in range(2):
        sight = await look(watcher)
        assert sight.ended
        assert sight.lost_at is not None
        (one,) = sight.snapshot.campaigns
        assert (one.left, one.total("parked"), one.rates.settled_10) == (1, 1, 0.0)
        assert one.source is None
    async with running(path, 12):
        sight = await look(watcher)
    assert (sight.snapshot.pid, sight.earlier_pid, sight.ended) == (12, 11, False)
    assert sight.lost_at is None


async def test_the_first_look_reports_what_is_wrong(path):
    """A campaign that the run does not have and a run without a socket are errors at first."""
    place = LedgerPlace.of_file(path)
    async with running(path, 11):
        with pytest.raises(CommandError, match=r"no campaign 'x'; it has: c"):
            await look(RunWatcher(place, "x"), first=True)
    assert (await look(RunWatcher(place, None), first=True)).ended
    store = await SqliteStore.open(path, "c")
    store.record_socket(SOCKET_OFF)
    with pytest.raises(ControlError, match=r"control\.socket is off") as error:
        await look(RunWatcher(place, None), first=True)
    await store.close()
    assert "dispatcher status" in str(error.value)


async def test_a_run_is_found_while_its_ledger_is_away(path, monkeypatch, short_path):
    """Its socket is among those of this user; other ledgers' runs are passed over."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))

    class Away:
        def socket(self):
            raise LedgerError("the server does not answer")

    monkeypatch.setattr(watcher_module, "operator_store", lambda _: Away())
    place = LedgerPlace.of_file(path)
    wanted = run(campaign("c"), pid=12, ledger=LedgerSnapshot(place.whole, on_server=True))
    wanted = replace(wanted, ledger=replace(wanted.ledger, away_since=1.0))
    sight = await look(RunWatcher(place, None), first=True)
    assert (sight.ended, sight.trouble) == (True, "the server does not answer")

    def answer(snapshot):
        async def command(_arguments):
            return asdict(snapshot)

        return {"snapshot": command}

    async with AsyncExitStack() as stack:
        other = replace(wanted, pid=13, ledger=LedgerSnapshot("other"))
        for name, shown in (("one", other), ("two", wanted)):
            await serve_commands(stack, open_private_socket(name), answer(shown))
        sight = await look(RunWatcher(place, None), first=True)
    assert sight.snapshot.pid == 12
    assert sight.snapshot.ledger.away_since == 1.0


async def test_before_the_first_run_it_waits_for_the_ledger(tmp_path, path):
    """Without a file, then without a campaign of this name, then with the run."""
    place = LedgerPlace.of_file(tmp_path / "none" / "ledger.db")
    sight = await look(RunWatcher(place, None), first=True)
    assert (sight.ended, sight.snapshot.pid, sight.snapshot.campaigns) == (True, 0, [])
    assert "there is no such file" in sight.unread
    watcher = RunWatcher(LedgerPlace.of_file(path), "later")
    sight = await look(watcher, first=True)
    assert sight.ended
    assert "later" in sight.unread
    watcher = RunWatcher(LedgerPlace.of_file(path), "c")
    assert (await look(watcher, first=True)).unread == ""
    async with running(path, 11):
        sight = await look(watcher)
    assert (sight.snapshot.pid, sight.ended, sight.trouble) == (11, False, "")


async def test_a_ledger_that_is_moved_leaves_the_last_figures(path, monkeypatch):
    """They are no longer those of a run: no campaign keeps its condition and its rates."""
    monkeypatch.setattr(ledger_watch, "LEDGER_SECONDS", 0.0)
    watcher = RunWatcher(LedgerPlace.of_file(path), None)
    async with running(path, 11):
        await look(watcher, first=True)
    path.rename(path.with_name("moved.db"))
    sight = await look(watcher)
    (one,) = sight.snapshot.campaigns
    assert (sight.ended, one.left, one.condition.cause) == (True, 4687, "no run")
    assert (one.rates.settled_10, one.waits) == (0.0, ())
    assert "there is no such file" in sight.unread
    path.with_name("moved.db").rename(path)
    sight = await look(watcher)
    assert (sight.unread, sight.snapshot.campaigns[0].left) == ("", 1)


async def test_who_leads_is_not_known_while_the_ledger_does_not_say(path, monkeypatch):
    """While a run says that it is away, and after a look at it that failed."""
    monkeypatch.setattr(ledger_watch, "LEDGER_SECONDS", 0.0)
    held = HeldLease(Lease(LeaseKind.CAMPAIGN, "c"), "one", "host", 1.0, 5.0)
    answers = {"StatusOf": [], "LeasesNow": [held]}

    class Server:
        def look(self, question):
            if not answers:
                raise LedgerError("the server does not answer")
            return answers[type(question).__name__]

    monkeypatch.setattr(ledger_watch, "operator_store", lambda _: Server())
    watcher = RunWatcher(LedgerPlace.of_file(path), None)
    server = LedgerSnapshot(str(path), on_server=True)
    async with running(path, 11, ledger=server):
        assert (await look(watcher, first=True)).leases
    async with running(path, 11, ledger=replace(server, away_since=1.0)):
        assert not (await look(watcher)).leases
    assert (await look(watcher)).leases
    answers.clear()
    sight = await look(watcher)
    assert (sight.leases, sight.unread) == ((), "the server does not answer")


async def test_a_ledger_that_is_silent_does_not_delay_the_end_of_a_run(path, monkeypatch):
    """The run was killed while the server of its ledger was away: that shows at once."""
    answers = threading.Event()

    class Silent:
        def look(self, _question):
            answers.wait(20)
            raise LedgerError("the server does not answer")

    watcher = RunWatcher(LedgerPlace.of_file(path), None)
    async with running(path, 11):
        await look(watcher, first=True)
    monkeypatch.setattr(ledger_watch, "operator_store", lambda _: Silent())
    sight = await asyncio.wait_for(look(watcher), 5)
    assert (sight.ended, sight.unread) == (True, "")
    assert sight.snapshot.campaigns[0].condition.cause == "no run"
    answers.set()
    for _ in range(2):
        sight = await look(watcher)
    assert sight.unread == "the server does not answer"
