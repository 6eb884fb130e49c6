"""A run takes its leases before it begins, and waits as standby while others have them."""

import asyncio
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs

from dispatcher.app import standby, wiring
from dispatcher.app.health import RunHealth
from dispatcher.app.leadership import Leadership
from dispatcher.app.leases import client_identity, find_leases
from dispatcher.app.ledger_presence import LedgerPresence
from dispatcher.app.oauth_clients import open_credentials
from dispatcher.app.standby import Standby
from dispatcher.engine.clock import SystemClock
from dispatcher.ports import (
    BearerToken,
    ClientCredentials,
    CredentialsError,
    CredentialsUnavailableError,
    HeldLease,
    Lease,
    LeaseKind,
    LedgerError,
)
from dispatcher.settings import load
from tests.support.least_settings import NEEDED, SECRETS, settings
from tests.support.scripted import EventList
from tests.support.virtual import in_virtual_time, until

CART = Lease(LeaseKind.CAMPAIGN, "cart")
SINCE = 1_790_000_000.0


def held(lease=CART, daemon="one", host="machine-1", left=7.0):
    return HeldLease(lease, daemon, host, SINCE, left)


class Store:
    """Answers each call of `try_take` with the next of ``answers``; then the leases are taken."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.away_since = None
        self.tenure = self

    def remaining_seconds(self):
        return 5.0

    async def try_take(self, asked):
        self.asked.append(tuple(asked))
        if not self.answers:
            return ()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Telemetry:
    shared_sink: EventList = field(default_factory=EventList)
    begun: int = 0

    def begin_standby(self):
        self.begun += 1


class View:
    def __init__(self):
        self.shown = []

    def __enter__(self):
        self.shown.append("begin")

    def __exit__(self, *_):
        self.shown.append("end")

    def show_standby(self, words):
        self.shown.append(words)


def waiting(store, view=None, posted=()):
    log = structlog.get_logger()
    return Standby(store, Leadership(log), Telemetry(), view, posted)


@in_virtual_time
async def test_who_finds_the_leases_free_leads_at_once():
    """Nothing is shown or sent of a standby."""
    store, view = Store(), View()
    one = waiting(store, view)
    with capture_logs() as lines:
        await one.take([CART])
    assert store.asked == [(CART,)]
    assert (one._leadership.leading, one._leadership.held, one._telemetry.begun) == (True, (), 0)
    assert (view.shown, lines) == ([], [])


@in_virtual_time
async def test_a_standby_looks_each_second_and_says_whom_it_waits_for():
    """Each leader is logged once, and the view has its name, its machine and since when."""
    other = held(Lease(LeaseKind.CLIENT, "3f2a"), "two", "machine-2")
    store, view = Store([held()], [held()], [held(), other]), View()
    one = waiting(store, view)
    began = asyncio.get_running_loop().time()
    with capture_logs() as lines:
        await one.take([CART])
    assert asyncio.get_running_loop().time() - began == pytest.approx(3 * standby.LOOK_SECONDS)
    assert one._telemetry.begun == 1
    begin, first, _, both, end = view.shown
    assert (begin, end) == ("begin", "end")
    assert first == (
        "standby: the leader is one on machine-1 since 2026-09-21 14:13:20 UTC; it has "
        "campaign cart"
    )
    assert both.endswith("(and 1 more); it has campaign cart, client 3f2a")
    found = [(line["event"], line.get("lease"), line.get("leader")) for line in lines]
    assert found == [
        ("run.standby", "campaign cart", "one"),
        ("run.standby", "campaign cart", "one"),
        ("run.standby", "client 3f2a", "two"),
        ("run.took_over", None, None),
    ]
    assert one._leadership.as_json(leads=True) == {"leading": True, "waits_for": []}


async def test_a_standby_refuses_posts_and_says_who_leads(monkeypatch):
    """503 with a time, on a connection that is closed; a wrong token learns nothing."""
    monkeypatch.setattr(standby, "LOOK_SECONDS", 0.01)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    http = [
        "source.kind=http", "source.path=", f"source.http.port={port}",
        "source.http.token_variable=POST_TOKEN",
    ]  # fmt: skip
    flags = {name: value for name, value in NEEDED.items() if name != "source.path"}
    posted = load(None, env={**SECRETS, "POST_TOKEN": "t-1"}, sets=http, flags=flags)
    store = Store(*[[held()]] * 1000)
    taking = asyncio.create_task(waiting(store, posted=[posted]).take([CART]))
    headers = {"Authorization": "Bearer t-1", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/campaigns/c1/contacts"
    async with aiohttp.ClientSession() as client:
        await until(lambda: len(store.asked) > 1)  # it listens after the first look
        refused = await client.post(url, data=b"[]", headers=headers)
        body = await refused.json()
        stranger = await client.post(url, data=b"[]")
        store.answers.clear()
        await taking
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.post(url, data=b"[]", headers=headers)
    assert (refused.status, refused.headers["Retry-After"], body["reason"]) == (503, "2", "standby")
    assert "one on machine-1" in body["detail"]
    assert refused.headers["Connection"] == "close"
    assert stranger.status == 401


@in_virtual_time
async def test_a_store_that_fails_ends_the_wait():
    with pytest.raises(LedgerError, match="it is gone"):
        await waiting(Store([held()], LedgerError("it is gone"))).take([CART])


@pytest.fixture
def credentials(monkeypatch):
    """What the sources of credentials return, in the order of the clients."""
    answers = []

    class Source:
        async def get(self):
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(wiring, "make_credentials", lambda *_: Source())
    return answers


async def found(*sets):
    async with AsyncExitStack() as stack:
        wanted = settings(*sets)
        credentials = open_credentials(wanted, SystemClock(), stack)
        return await find_leases(wanted, credentials, structlog.get_logger())


async def test_a_run_needs_its_campaign_and_its_client():
    """The name of the client's lease is the same everywhere, and is not its id."""
    campaign, client = await found()
    assert campaign == Lease(LeaseKind.CAMPAIGN, NEEDED["campaign"])
    assert client == Lease(LeaseKind.CLIENT, client_identity(SECRETS["DISPATCHER_CLIENT_ID"]))
    assert client.name == "de7d1b721a1e0632"
    assert client_identity("sandbox-client") not in ("sandbox-client", client.name)


async def test_shared_clients_are_not_leased(credentials):
    """Their ids are not even read."""
    server = "ledger.url=postgresql://dispatcher@127.0.0.1/ledger"
    assert await found(server, "ledger.share_clients=true") == [Lease(LeaseKind.CAMPAIGN, "c1")]


async def test_a_token_from_elsewhere_names_no_client(credentials):
    credentials.append(BearerToken("t"))
    assert await found() == [Lease(LeaseKind.CAMPAIGN, "c1")]


@in_virtual_time
async def test_a_source_of_credentials_that_is_away_is_asked_again(credentials):
    credentials += [
        CredentialsUnavailableError("vault is sealed"),
        ClientCredentials("i", "s"),
    ]
    assert len(await found()) == 2


async def test_the_only_client_whose_id_cannot_be_read_ends_the_start(credentials):
    credentials.append(CredentialsError("credentials.client_id_file: not there"))
    with pytest.raises(CredentialsError, match="not there"):
        await found()


class Part:
    """A pool or a pipeline, as far as the health looks at it."""

    def __init__(self, halted_since=None, halted=False):
        self.halted_since, self.halted = halted_since, halted


def test_a_standby_is_ready_and_only_the_leader_leads():
    """While the ledger is away nobody is ready; who starts or is halted is not ready, either."""
    store, leadership = Store(), Leadership(structlog.get_logger())
    ledger = LedgerPresence(leadership, Telemetry(), structlog.get_logger())
    health = RunHealth(ledger, leadership)
    assert (health.why_not_ready(), health.leads()) == ("starting", False)
    ledger.store = store
    leadership.note_waiting([held()])
    assert (health.why_not_ready(), health.leads()) == ("", False)
    leadership.note_leading()
    assert (health.why_not_ready(), health.leads()) == ("starting", False)
    health.pool, health.pipeline = Part(), Part()
    assert (health.why_not_ready(), health.leads()) == ("", True)
    health.pool = Part(halted_since=1.0)
    assert (health.why_not_ready(), health.leads()) == ("halted", True)
    health.pool, store.away_since = Part(), 1.0
    assert (health.why_not_ready(), health.leads()) == ("ledger_away", True)
    store.remaining_seconds = lambda: -1.0
    assert (health.why_not_ready(), health.leads()) == ("ledger_away", False)
