"""Events of a run with several campaigns: which campaign's metrics count them, and the log."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from contextlib import AsyncExitStack, suppress

import pytest

from dispatcher.app.telemetry import RunTelemetry
from dispatcher.domain.events import Gauges, Halted, MetricsDropped, Resumed, Settled
from dispatcher.domain.status import HaltReason, Reason, Status
from dispatcher.settings import load
from tests.support import statsd

SETTLED = Settled("k", "c", Status.OPENED, Reason.DELIVERED, None, None, None, "r", 1.0)
ONE = 'campaign = "a"\n[source]\npath = "-"\n'
TWO = "".join(
    f'[[campaigns]]\nname = "{name}"\n[campaigns.source]\npath = "{name}*"\n' for name in "ab"
)


@pytest.fixture
def emitted(tmp_path):
    """Emit events to the sinks of a run, and return metrics and log lines."""
    config, log = tmp_path / "dispatcher.toml", tmp_path / "log"

    async def emit(text, *events):
        config.write_text(text + '[platform]\nbase_url = "https://api.example.com"\n')
        with statsd.udp() as receiver:
            sets = [f"telemetry.statsd_port={receiver.port}", f"telemetry.log_file={log}"]
            secrets = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
            telemetry = RunTelemetry(load(config, env=secrets, sets=sets))
            async with AsyncExitStack() as stack:
                telemetry.open(stack, None)
                telemetry.begin(once=True)
                for campaign, event in events:
                    sink = telemetry.sink(campaign) if campaign else telemetry.shared_sink
                    sink.emit(event)
            receiver.settle()
        return receiver, [json.loads(line) for line in log.read_text().splitlines()], telemetry

    return emit


async def test_a_halt_concerns_every_campaign_and_is_logged_once(emitted):
    """The gauge of each is 1; the log has one line, of none of them."""
    received, lines, telemetry = await emitted(TWO, (None, Halted(HaltReason.SCOPE, "why")))
    for name in "ab":
        assert received.gauge("dispatcher.halted", "reason:scope", f"campaign:{name}") == 1
        assert list(telemetry.snapshots()[name].halts) == [HaltReason.SCOPE]
    assert [(line["event"], line["campaign"]) for line in lines] == [("run.halted", "*")]


async def test_a_pause_concerns_one_campaign(emitted):
    """Its gauge alone is 1, and its name is in the log."""
    halted, resumed = Halted(HaltReason.PAUSED, "-"), Resumed(HaltReason.PAUSED, 2.0)
    events = [("a", halted), ("b", halted), ("b", resumed)]
    received, lines, _ = await emitted(TWO, *events)
    gauges = [
        received.gauge("dispatcher.halted", "reason:paused", f"campaign:{name}") for name in "ab"
    ]
    assert gauges == [1, 0]
    assert [(line["event"], line["campaign"]) for line in lines] == [
        ("campaign.paused", "a"),
        ("campaign.paused", "b"),
        ("campaign.resumed", "b"),
    ]


async def test_a_contact_is_counted_for_its_campaign_alone(emitted):
    """The sum over all campaigns is the run's."""
    received, lines, _ = await emitted(TWO, ("b", SETTLED))
    metric = "dispatcher.contacts.settled"
    assert [received.total(metric, f"campaign:{name}") for name in "ab"] == [0, 1]
    assert [line["campaign"] for line in lines] == ["b"]


async def test_with_one_campaign_everything_is_its_own(emitted):
    """What concerns the run is logged with the campaign's name, as ever."""
    received, lines, _ = await emitted(ONE, (None, Halted(HaltReason.SCOPE, "why")))
    assert received.gauge("dispatcher.halted", "reason:scope", "campaign:a") == 1
    assert [(line["event"], line["campaign"]) for line in lines] == [("run.halted", "a")]


async def test_a_hangup_does_not_end_the_process(emitted):
    """Log rotation may send SIGHUP, though the log file is opened again without it."""
    await emitted(ONE)
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.sleep(0.01)


def fill(path):
    """Send until nobody can send more: the buffer of a sender may be full before the receiver's."""
    is_full = False
    while not is_full:
        is_full = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
            sender.setblocking(False)
            while True:
                sender.sendto(b"x", str(path))
                is_full = False


async def test_the_campaigns_of_a_run_end_together(tmp_path):
    """An agent that does not read costs the end of a run the same time for any number of them."""
    path, log = tmp_path / "dsd.socket", tmp_path / "log"
    names = [f"c{number}" for number in range(6)]
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        "".join(f'[[campaigns]]\nname = "{name}"\nsource.path = "{name}*"\n' for name in names)
        + '[platform]\nbase_url = "https://api.example.com"\n'
    )
    sets = [f"telemetry.statsd_socket={path}", f"telemetry.log_file={log}"]
    secrets = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
    telemetry = RunTelemetry(load(config, env=secrets, sets=sets))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as frozen:
        frozen.bind(str(path))
        fill(path)
        async with AsyncExitStack() as stack:
            telemetry.open(stack, None)
            telemetry.begin(once=True)
            began = time.monotonic()
        assert time.monotonic() - began < 3.0  # one after another they would take 9 s
    lost = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["campaign"] for line in lost if line["event"] == "statsd.lost"} == {*names}


async def test_what_is_given_up_is_an_event_in_the_thread_of_the_run(tmp_path, unused_port):
    """The condition of the campaign learns of it, though another thread sends the metrics."""
    config, threads = tmp_path / "dispatcher.toml", []
    config.write_text(ONE + '[platform]\nbase_url = "https://api.example.com"\n')
    sets = [f"telemetry.statsd_port={unused_port}", f"telemetry.log_file={tmp_path / 'log'}"]
    secrets = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
    telemetry = RunTelemetry(load(config, env=secrets, sets=sets))
    arrived = asyncio.Event()

    class Recorder:
        def emit(self, event):
            threads.append((type(event), event.samples > 0, threading.current_thread()))
            arrived.set()

    async with AsyncExitStack() as stack:
        telemetry.open(stack, None)
        telemetry.begin(once=True)
        sink, telemetry._sinks["a"] = telemetry.sink("a"), Recorder()
        while not arrived.is_set():
            sink.emit(Gauges(1, 1, 1.0, 1.0, 1.0))
            await asyncio.sleep(0.05)
    assert set(threads) == {(MetricsDropped, True, threading.main_thread())}


@pytest.fixture
def unused_port():
    """A port at which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
