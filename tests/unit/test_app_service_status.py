"""systemd's protocol for services, on a real datagram socket."""

import asyncio
import os
import socket
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from dispatcher.app import service_status
from dispatcher.app.run import OneRun
from dispatcher.app.run_arguments import RunArguments
from dispatcher.app.sd_notify import ServiceManager
from dispatcher.app.service_status import ServiceStatus
from dispatcher.domain.status import Status
from dispatcher.telemetry.stats.run_stats import RunStats
from tests.support.least_settings import settings
from tests.support.virtual import until


@pytest.fixture
def messages(tmp_path):
    """The socket of a service manager: what comes, as the fields of each datagram."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)

        def received():
            found = []
            try:
                while True:
                    lines = receiver.recv(4096).decode().split("\n")
                    found.append(dict(line.split("=", 1) for line in lines))
            except BlockingIOError:
                return found

        yield received


@dataclass
class Health:
    pipeline: object = None
    ledger: object = field(
        default_factory=lambda: SimpleNamespace(away_since=None, is_waiting=False)
    )
    leadership: object = field(
        default_factory=lambda: SimpleNamespace(held=(), words=lambda: "standby: two leads")
    )


def service(tmp_path, health=None, **environment):
    stats = RunStats()
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), **environment})
    made = ServiceStatus(lambda: {"cart": stats.snapshot()}, manager)
    made.health = health
    return made, stats


def test_a_start_may_take_long_and_ends_with_ready_once(messages, tmp_path):
    """Until then each report extends the time of the start."""
    status, _ = service(tmp_path)
    status.report()
    status.health = Health()
    status.report()
    extended = {"EXTEND_TIMEOUT_USEC": "30000000"}
    assert messages() == [
        {**extended, "STATUS": "starting"},
        {**extended, "STATUS": "standby: two leads"},
    ]
    status.health.pipeline = SimpleNamespace(in_flight=6)
    status.report()
    status.report()
    assert messages() == [{"READY": "1", "STATUS": "cart: 0 settled; in flight: 6"}]


def test_a_standby_is_ready(messages, tmp_path):
    """The service manager must not wait for the leader's end."""
    status, _ = service(tmp_path, Health())
    status.health.leadership.held = ("a lease",)
    status.report()
    assert messages() == [{"READY": "1", "STATUS": "standby: two leads"}]


def test_a_run_that_waits_for_its_ledger_is_ready(messages, tmp_path):
    """The service manager may have to start the server, which it does after this service."""
    status, _ = service(tmp_path, Health())
    status.health.ledger.is_waiting = True
    status.report()
    assert messages() == [{"READY": "1", "STATUS": "waiting: the ledger is away"}]


def test_the_status_line_has_the_counts(messages, tmp_path):
    """By status, and whether the ledger is away; a drain has the line, too."""
    status, stats = service(tmp_path, Health(SimpleNamespace(in_flight=2)))
    stats._counts.settled = Counter(
        {(Status.NOTIFIED, "a"): 3, (Status.NOTIFIED, "b"): 2, (Status.PARKED, "c"): 1}
    )
    status.report()
    counts = "cart: 5 notified, 1 parked; in flight: 2"
    status.health.ledger.away_since = 1.0
    status.report()
    status.stop()
    status.stop()
    status.report()
    assert messages() == [
        {"READY": "1", "STATUS": counts},
        {"STATUS": f"the ledger is away: {counts}"},
        {"STOPPING": "1"},
        {"STATUS": f"draining: {counts}"},
    ]


async def test_signs_of_life_come_from_the_event_loop_until_the_end(
    messages, tmp_path, monkeypatch
):
    """Three in the time of the watchdog; the last message is that the run stops."""
    monkeypatch.setattr(service_status, "REPORT_SECONDS", 9.0)
    status, _ = service(tmp_path, Health(SimpleNamespace(in_flight=0)), WATCHDOG_USEC="30000")
    async with AsyncExitStack() as stack:
        status.start(stack)
        found = []
        await until(lambda: found.extend(messages()) or len(found) >= 3)
    found += messages()
    assert [one.get("WATCHDOG") for one in found[:3]] == ["1", "1", "1"]
    assert found[-1] == {"STOPPING": "1"}


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
    ids=["on", "of this process", "of another process", "off", "not set"],
)
def test_the_watchdog_is_that_of_this_process(environment, seconds):
    assert ServiceManager(environment).watchdog_seconds == seconds


async def test_without_a_service_manager_there_is_nothing():
    """No task, and no error; nor if the socket is not there any more."""
    async with AsyncExitStack() as stack:
        before = asyncio.all_tasks()
        ServiceStatus(dict, ServiceManager({})).start(stack)
        assert asyncio.all_tasks() == before
    ServiceManager({"NOTIFY_SOCKET": "/nowhere/notify"}).send(READY=1)
    ServiceManager({}).send(READY=1)


def test_a_message_of_several_lines_stays_one_field():
    """In an abstract socket, as service managers in containers have it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("")
        name = receiver.getsockname()[1:].decode()
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).send(STATUS="a\nREADY=1")
        assert receiver.recv(100) == b"STATUS=a READY=1"


@pytest.mark.parametrize("own", [True, False], ids=["dispatcher run", "a program with the API"])
def test_only_the_process_of_the_dispatcher_reports(messages, tmp_path, monkeypatch, own):
    """A program that dispatches by the Python API may be a service of its own."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    order = RunArguments(once=True, limit=None, adopt=False, accepted=(), signals=own)
    OneRun(settings(), None, order)._service.stop()
    assert messages() == ([{"STOPPING": "1"}] if own else [])
