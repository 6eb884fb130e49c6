"""The control socket: who may open it, what it answers, and what it leaves behind."""

import asyncio
import os
import socket
import stat
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from dispatcher.app.control.client import (
    ControlError,
    ControlUnavailableError,
    execute,
    running_status,
    send_command,
)
from dispatcher.app.control.commands import CommandHandler
from dispatcher.app.control.server import serve_commands
from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.http_server.unix_socket import (
    LONGEST_PATH,
    ControlAddressError,
    open_socket,
    socket_path,
)
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import SOCKET_OFF, Batch, CommandError, LedgerError, Settlement
from dispatcher.ports.orders import PauseOrder, ReplayOrder, ResumeOrder, Selection

REPLAY = ReplayOrder(Selection(9.0))


class Run:
    """A run that remembers what it was asked to do."""

    def __init__(self):
        self.woken = 0
        self.paused = []
        self.has_started = True

    def wake(self):
        self.woken += 1

    async def pause(self, campaign, verb="pause"):
        self.paused.append((verb, campaign))
        if campaign != "a":
            raise LookupError(campaign)

    async def resume(self, campaign):
        await self.pause(campaign, "resume")


@asynccontextmanager
async def serving(tmp_path, run):
    """A ledger of two campaigns with one parked contact each, served."""
    path = tmp_path / "ledger.db"
    for campaign in ("b", "a"):
        store = await SqliteStore.open(path, campaign)
        ledger = await store.campaign(campaign)
        batch = Batch([Contact(f"key-{campaign}", "conversation", "Hi")])
        (claim,) = (await ledger.admit(batch, 1.0, 1)).claims
        await ledger.settle(Settlement(claim.id, Status.PARKED, Reason.EXHAUSTED, 2.0, NEW))
        if campaign == "b":
            await store.close()
    handler = CommandHandler(
        store, lambda: {"in_flight": 7}, lambda: run if run.has_started else None
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        control = open_socket(path, "")
        await serve_commands(stack, control, handler.by_name())
        store.record_socket(str(control.path))
        yield path


async def test_two_clients_send_commands_at_once(tmp_path):
    """Each contact is replayed for one of them, and the run is woken."""
    run = Run()
    async with serving(tmp_path, run) as path:
        operator = SqliteOperatorStore(path)
        both = await asyncio.gather(
            *(asyncio.to_thread(execute, operator, REPLAY) for _ in range(2))
        )
        assert sorted(result.answer["ready"] for result in both) == [0, 2]
        assert {result.by for result in both} == {f"by the running dispatcher (pid {os.getpid()})"}
        assert run.woken == 2
        report = await asyncio.to_thread(running_status, SqliteOperatorStore(path), None)
    assert report["run"] == {"in_flight": 7}
    assert [campaign["contacts"] for campaign in report["campaigns"]] == [
        {"ready": {"not_final": 1}}
    ] * 2


async def test_only_its_user_can_open_it_and_it_goes_with_the_server(tmp_path):
    """Mode 0600 while it is there; afterwards nothing is."""
    async with serving(tmp_path, Run()) as path:
        where = path.with_name("ledger.db.sock")
        assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert not where.exists()
    assert running_status(SqliteOperatorStore(path), None) is None
    with pytest.raises(ControlUnavailableError, match="nothing was done"):
        send_command(str(where), "replay", {})


async def test_wrong_commands_are_refused_in_words(tmp_path):
    """No JSON, no object, no such command, wrong values: each is reported, and nothing is done."""
    async with serving(tmp_path, Run()) as path:
        where = str(path) + ".sock"
        for name, arguments, error, words in (
            ("replay", {"before": "now"}, CommandError, "before"),
            ("drop", {"before": 9.0, "campaign": "x"}, CommandError, "it holds: b, a"),
            ("nonsense", {}, ControlError, "no such command"),
            ("replay", [], CommandError, "not a JSON object"),
        ):
            with pytest.raises(error, match=words):
                await asyncio.to_thread(send_command, where, name, arguments)
        reader, writer = await asyncio.open_unix_connection(where)
        writer.write(b"POST /replay HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{")
        assert b" 400 " in await reader.readline()
        writer.close()
        report = await asyncio.to_thread(running_status, SqliteOperatorStore(path), "a")
    assert report["campaigns"][0]["contacts"] == {"parked": {"exhausted": 1}}


async def test_a_campaign_is_paused_in_the_ledger_and_in_the_run(tmp_path):
    """Those of the ledger that the run has not are paused in the ledger alone."""
    run = Run()
    async with serving(tmp_path, run) as path:
        operator = SqliteOperatorStore(path)
        done = await asyncio.to_thread(execute, operator, PauseOrder(None))
        assert set(done.answer["paused"]) == {"a", "b"}
        assert run.paused == [("pause", "b"), ("pause", "a")]
        done = await asyncio.to_thread(execute, operator, ResumeOrder("a"))
        assert set(done.answer["resumed"]) == {"a"}
        run.has_started = False
        with pytest.raises(ControlError, match="cannot pause"):
            await asyncio.to_thread(execute, operator, PauseOrder(None))


async def test_a_ledger_that_is_held_by_somebody_without_a_socket(tmp_path):
    """It is an error that says to try again, and the pid."""
    async with await SqliteLedger.open(tmp_path / "ledger.db", "a"):
        with pytest.raises(ControlError, match=f"pid {os.getpid()}.*try again"):
            await asyncio.to_thread(
                execute, SqliteOperatorStore(tmp_path / "ledger.db"), ResumeOrder(None)
            )


async def test_a_dispatcher_that_dies_before_it_answers(tmp_path):
    """The command was done or not, as a whole; the message says so."""
    where = str(tmp_path / "dead.sock")

    async def die(_reader, writer):
        writer.close()

    async with await asyncio.start_unix_server(die, where):
        with pytest.raises(ControlUnavailableError, match="as a whole or not at all"):
            await asyncio.to_thread(send_command, where, "replay", {})


async def test_a_lost_ledger_is_reported(tmp_path):
    """A command that the ledger cannot execute is an error with the ledger's words."""

    async def lost(_arguments):
        raise LedgerError("ledger x: the disk is full")

    async with AsyncExitStack() as stack:
        control = open_socket(tmp_path / "ledger.db", str(tmp_path / "s"))
        await serve_commands(stack, control, {"replay": lost})
        with pytest.raises(ControlError, match="the disk is full"):
            await asyncio.to_thread(send_command, str(tmp_path / "s"), "replay", {})


async def test_a_socket_that_was_left_behind_is_replaced_and_nothing_else(tmp_path):
    """A dead one goes; one that somebody listens on, and a file, stay."""
    dead, file = tmp_path / "dead", tmp_path / "file"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    file.write_text("mine")
    ledger = tmp_path / "ledger.db"
    async with AsyncExitStack() as stack:
        await serve_commands(stack, open_socket(ledger, str(dead)), {})
        with pytest.raises(ControlAddressError, match=r"cannot be made.*control\.socket.*off"):
            open_socket(ledger, str(file))
        with pytest.raises(ControlAddressError, match="another dispatcher listens there"):
            open_socket(ledger, str(dead))
        assert dead.is_socket()
    assert not dead.exists()
    assert file.read_text() == "mine"


async def test_no_socket_here(tmp_path, monkeypatch):
    """The socket is in the runtime directory; the lock file names it, so that commands find it.

    What is in the way stays. The test's name is short, because it is in the socket's path.
    """
    runtime = tmp_path / "r"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    (tmp_path / "ledger.db.sock").mkdir()
    async with serving(tmp_path, Run()) as path:
        report = await asyncio.to_thread(running_status, SqliteOperatorStore(path), None)
        assert report["pid"] == os.getpid()
        (place,) = runtime.glob("dispatcher-*/*.sock")
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert not place.exists()
    assert (tmp_path / "ledger.db.sock").is_dir()


def test_a_runtime_directory_without_sockets_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "ledger.db.sock").mkdir()
    (tmp_path / f"dispatcher-{os.getuid()}").write_text("not a folder")
    with pytest.raises(ControlAddressError, match=r'control\.socket.*"off"'):
        open_socket(tmp_path / "ledger.db", "")


async def test_a_run_without_a_socket_takes_no_commands_and_says_so(tmp_path):
    ledger = await SqliteLedger.open(tmp_path / "ledger.db", "a")
    ledger.record_socket(SOCKET_OFF)
    operator = SqliteOperatorStore(tmp_path / "ledger.db")
    assert running_status(operator, None) is None
    with pytest.raises(ControlError, match=r"control\.socket is off.*Nothing was done"):
        execute(operator, REPLAY)
    await ledger.close()


def test_a_path_that_is_too_long_is_exchanged_or_refused(short_path, monkeypatch):
    """The place beside the ledger gives way to a private one; one that was set does not."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    deep = short_path / ("d" * 120)
    deep.mkdir()
    short = socket_path(deep / "ledger.db", "")
    assert short.parent == short_path / f"dispatcher-{os.getuid()}"
    assert stat.S_IMODE(short.parent.stat().st_mode) == 0o700
    assert socket_path(deep / "ledger.db", "") == short
    assert socket_path(deep / "other.db", "") != short
    with pytest.raises(ControlAddressError, match=r"control\.socket"):
        socket_path(short_path / "ledger.db", str(deep / "s"))
    short.parent.chmod(0o755)
    with pytest.raises(ControlAddressError, match="open to others"):
        socket_path(deep / "ledger.db", "")
    assert len(os.fsencode(short)) <= LONGEST_PATH
