"""Metrics as they arrive at an agent, over real sockets."""

import socket
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher import __version__
from dispatcher.domain import events as e
from dispatcher.domain.status import (
    HaltReason,
    Reason,
    Relation,
    RetryReason,
    ScopeSource,
    Status,
    Step,
)
from dispatcher.telemetry.metrics.agent import AgentAddress, find_agent
from dispatcher.telemetry.metrics.catalog import METRICS, OUTCOMES
from dispatcher.telemetry.metrics.delivery import MetricDelivery
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient
from dispatcher.telemetry.metrics.pending import MOST_SAMPLES
from dispatcher.telemetry.metrics.sink import StatsdSink
from tests.support import statsd

CONSTANT = {
    "campaign:cart-2026-11",
    "dialect:messaging",
    "service:dispatcher",
    "env:none",
    f"version:{__version__}",
}
VARIABLES = ("DD_ENV", "DD_SERVICE", "DD_VERSION", "DD_ENTITY_ID", "DD_TAGS", "DATADOG_TAGS")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def sink_for(receiver, **more):
    return begun(AgentAddress(receiver.host, receiver.port), campaign="cart-2026-11", **more)


def begun(agent, *, campaign="c", dialect="messaging", **more):
    """A sink whose run has begun."""
    sink = StatsdSink(agent, campaign=campaign, dialect=dialect, **more)
    sink.begin("once")
    return sink


def sent(*facts, **more):
    """Emit facts, close, and return the receiver."""
    with statsd.udp() as receiver:
        sink = sink_for(receiver, **more)
        for fact in facts:
            sink.emit(fact)
        assert sink.close()
        receiver.settle(0.1)
    return receiver


def answered(step=Step.CHECK, status="200", seconds=0.0125, ids="i"):
    return e.Answered(step, status, seconds, ids, ids, ids, failed=False)


def settled(status=Status.OPENED, reason=Reason.DELIVERED, ids="i"):
    return e.Settled(ids, ids, status, reason, Relation.LINKED, ids, ids, ids, 0.25)


def test_a_standby_sends_that_it_does_not_lead_and_nothing_else():
    """Neither a heartbeat nor zeros: these are the leader's. It sends them when it begins."""
    with statsd.udp() as receiver:
        agent = AgentAddress(receiver.host, receiver.port)
        sink = StatsdSink(agent, campaign="c", dialect="messaging")
        sink.begin_standby()
        sink.emit(e.LeaderState(leading=False, away=2.0))
        receiver.wait_for(lambda one: "dispatcher.leader" in one.text)
        names = {metric.name for metric in receiver.metrics}
        sink.begin("daemon")
        sink.emit(e.LeaderState(leading=True))
        sink.emit(e.StandbysCounted(2))
        assert sink.close()
        receiver.settle(0.1)
    assert names == {"dispatcher.leader", "dispatcher.ledger.away"}
    assert [it.value for it in receiver.metrics if it.name == "dispatcher.standbys"] == [2]
    leads = [metric.value for metric in receiver.metrics if metric.name == "dispatcher.leader"]
    assert leads == [0, 1]
    assert receiver.total("dispatcher.run.started", "mode:daemon") == 1


@pytest.mark.parametrize(
    ("fact", "name", "tags", "count"),
    [
        (e.RowsRead(10, 4, 3, 2, 1), "contacts.admitted", [], 4),
        (e.RowsRead(10, 4, 3, 2, 1), "contacts.duplicate", [], 3),
        (e.RowsRead(10, 4, 3, 2, 1), "contacts.rejected_rows", [], 2),
        (settled(), "contacts.settled", ["status:opened", "reason:delivered"], 1),
        (answered(), "api.requests", ["endpoint:check", "status:200"], 1),
        (answered(Step.OPEN, "timeout"), "api.requests", ["endpoint:open", "status:timeout"], 1),
        (
            e.ScopeError(ScopeSource.MASKED_CONFLICT, Step.OPEN, "k", "r"),
            "scope_errors",
            ["source:masked_conflict"],
            1,
        ),
        (
            e.ClosedConflict(Step.NOTIFY, 400, "k", "r"),
            "closed_session_conflicts",
            ["step:notify", "status:400"],
            1,
        ),
        (e.RetryLoop(Step.OPEN, "k"), "retry_loops", ["step:open"], 1),
        (e.Deferred("k", "c", RetryReason.NOT_ENDED, 5), "retries", ["reason:not_ended"], 1),
        (e.InDoubt("parked", Step.OPEN, "k", "c", "r"), "in_doubt", ["resolution:parked"], 1),
        (e.Throttled(Step.OPEN, 5, "key"), "api.throttled", [], 1),
    ],
)
def test_an_event_adds_to_its_count(fact, name, tags, count):
    """An event adds to the count with the tags of the table, and to no other series of it."""
    receiver = sent(fact)
    assert receiver.total(f"dispatcher.{name}", *tags) == count
    assert receiver.total(f"dispatcher.{name}") == count
    series = {m.tags for m in receiver.metrics if m.name == f"dispatcher.{name}"}
    assert {*CONSTANT, *tags} in series


def test_the_three_failures_never_mix():
    """One event of each of the three failures makes each counter 1, and no other count."""
    facts = (
        e.ScopeError(ScopeSource.FORBIDDEN, Step.OPEN, "k", "r"),
        e.ClosedConflict(Step.OPEN, 409, "k", "r"),
        e.RetryLoop(Step.OPEN, "k"),
    )
    receiver = sent(*facts)
    counts = {m.name for m in receiver.metrics if m.kind == "c" and m.value}
    assert counts - {"dispatcher.run.started"} == {
        "dispatcher.scope_errors",
        "dispatcher.closed_session_conflicts",
        "dispatcher.retry_loops",
    }


@pytest.mark.parametrize(
    ("fact", "name", "tags", "milliseconds"),
    [
        (answered(Step.NOTIFY, "202"), "api.latency", ["endpoint:notify"], 12.5),
        (settled(), "contact.latency", [], 250.0),
        (e.StateAged(0.0321), "state.age", [], 32.1),
    ],
)
def test_times_are_distributions_in_milliseconds(fact, name, tags, milliseconds):
    """Times arrive as distributions, not histograms, and in milliseconds."""
    receiver = sent(fact)
    assert receiver.samples(f"dispatcher.{name}", *tags) == [milliseconds]


def test_gauges():
    """The engine's gauges arrive under their names."""
    receiver = sent(e.Gauges(7, 1000, 12.5, 5.0, 0.875))
    names = ("in_flight", "backlog", "oldest_due", "pace", "quota.used")
    values = [receiver.gauge(f"dispatcher.{name}") for name in names]
    assert values == [7, 1000, 12.5, 5.0, 0.875]


def test_halted_is_sent_for_every_reason():
    """Every reason is 0 from the start; the one that halts is 1 until the run goes on."""
    receiver = sent()
    assert {receiver.gauge("dispatcher.halted", f"reason:{r}") for r in HaltReason} == {0.0}

    halt = e.Halted(HaltReason.SCOPE, "detail")
    receiver = sent(halt)
    assert receiver.gauge("dispatcher.halted", "reason:scope") == 1
    assert receiver.gauge("dispatcher.halted", "reason:platform_down") == 0

    receiver = sent(halt, e.Resumed(HaltReason.SCOPE, 3.0))
    assert receiver.gauge("dispatcher.halted", "reason:scope") == 0


def test_halted_is_sent_again_with_the_gauges():
    """A graph of a long halt never goes stale: each `Gauges` sends all reasons again."""
    with statsd.udp() as receiver:
        sink = sink_for(receiver, flush_seconds=0.05)
        sink.emit(e.Halted(HaltReason.FORBIDDEN, ""))
        receiver.wait_for(lambda r: r.gauge("dispatcher.halted", "reason:forbidden") == 1)
        receiver.datagrams.clear()
        sink.emit(e.Gauges(0, 0, 0, 0, 0))
        receiver.wait_for(
            lambda r: {r.gauge("dispatcher.halted", f"reason:{h}") for h in HaltReason} == {0, 1}
        )
        assert sink.close()


def test_counts_start_with_zero():
    """Graphs and monitors know every count, and every outcome, before anything happened."""
    receiver = sent()
    counts = {m.name for m in receiver.metrics if m.kind == "c"}
    names = {
        "dispatcher.contacts.settled",
        "dispatcher.scope_errors",
        "dispatcher.retry_loops",
        "dispatcher.closed_session_conflicts",
        "dispatcher.in_doubt",
    }
    assert names <= counts
    assert receiver.series("dispatcher.contacts.settled", "status", "reason").keys() == {
        (status.value, reason.value) for status, reasons in OUTCOMES.items() for reason in reasons
    }
    nonzero = {m.name for m in receiver.metrics if m.value}
    assert nonzero == {"dispatcher.run.started", "dispatcher.heartbeat"}


def test_nothing_undocumented_is_sent():
    """Only metrics of the table leave, each with its tags and the constant ones, no more."""
    receiver = sent(settled(), answered(), e.StateAged(1.0), e.Gauges(1, 1, 1, 1, 1))
    constant = {tag.split(":")[0] for tag in CONSTANT}
    for metric in receiver.metrics:
        own = METRICS[metric.name.removeprefix("dispatcher.")]
        assert {tag.split(":")[0] for tag in metric.tags} == {*own, *constant}


def test_counts_are_exact_under_load():
    """Sixty thousand events from two threads arrive to the last one, by tag."""
    expected: Counter[tuple[str, ...]] = Counter()
    facts = []
    for number in range(30_000):
        step, status = list(Step)[number % 3], ("200", "409", "500", "reset")[number % 4]
        facts.append(answered(step, status))
        expected[step.value, status] += 2
    with statsd.udp() as receiver:
        sink = sink_for(receiver, flush_seconds=0.02)

        def emit():
            for fact in facts:
                sink.emit(fact)

        threads = [threading.Thread(target=emit) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sink.close()
        receiver.settle()
    assert receiver.series("dispatcher.api.requests", "endpoint", "status") == expected
    assert receiver.sampled("dispatcher.api.latency") == pytest.approx(60_000, rel=1e-6)
    assert len(receiver.samples("dispatcher.api.latency")) < 60_000


def test_few_samples_all_arrive():
    """Up to the bound of a flush, every single sample arrives, at full rate."""
    receiver = sent(*[e.StateAged(n / 1000) for n in range(MOST_SAMPLES)], flush_seconds=60)
    assert sorted(receiver.samples("dispatcher.state.age")) == list(range(MOST_SAMPLES))
    assert receiver.sampled("dispatcher.state.age") == MOST_SAMPLES


def test_close_sends_what_is_left_and_stops_its_threads():
    """All that was emitted before `close` is on the wire after it; no thread stays."""
    before = set(threading.enumerate())
    with statsd.udp() as receiver:
        sink = sink_for(receiver, flush_seconds=60)
        for _ in range(100):
            sink.emit(settled())
        started = time.monotonic()
        assert sink.close()
        assert time.monotonic() - started < 10.0, "it waited for the next flush"
        receiver.settle(0.1)
        assert receiver.total("dispatcher.contacts.settled", "status:opened") == 100
        sink.emit(settled())
        assert sink.close()
        count_before = len(receiver.datagrams)
        receiver.settle(0.1)
        assert len(receiver.datagrams) == count_before
    assert not [t for t in set(threading.enumerate()) - before if t.is_alive()]


@pytest.mark.parametrize("prefix", ["", "unix://", "unixgram://"])
def test_a_unix_socket(tmp_path, prefix):
    """The agent's Unix socket is served as well, by path or URL, without a loss."""
    path = tmp_path / "dsd.socket"
    with statsd.unix(path) as receiver:
        agent = AgentAddress(socket_path=f"{prefix}{path}")
        sink = begun(agent, flush_seconds=0.02)
        for number in range(20_000):
            sink.emit(answered(status=str(100 + number % 500)))
        assert sink.close()
        receiver.settle(0.1)
    assert receiver.total("dispatcher.api.requests") == 20_000


def dead_agents(tmp_path):
    """Yield agents that take nothing, and what keeps them so."""
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.bind(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    deaf.bind(str(tmp_path / "deaf"))
    mute = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mute.bind(str(tmp_path / "mute"))
    mute.listen(1)
    return {
        "nobody": AgentAddress("127.0.0.1", port),
        "missing": AgentAddress(socket_path=str(tmp_path / "missing")),
        "deaf": AgentAddress(socket_path=str(tmp_path / "deaf")),
        "mute": AgentAddress(socket_path=f"unixstream://{tmp_path / 'mute'}"),
        "unknown": AgentAddress("agent.invalid", 8125),
    }, (deaf, mute)


@pytest.mark.parametrize("which", ["nobody", "missing", "deaf", "mute", "unknown"])
def test_a_dead_agent_blocks_nothing(tmp_path, which, capfd, monkeypatch):
    """Emitting never waits, nothing is printed, and closing takes 2 seconds or so.

    Whether nobody is at the port, the socket is missing, or nobody reads it. A busy machine may
    take longer, but by far less than the socket's time limit for all packets, which is minutes.
    """
    threads, deliver = set(), MetricDelivery.deliver

    def noted(delivery, *arguments):
        threads.add(threading.current_thread())
        return deliver(delivery, *arguments)

    monkeypatch.setattr(MetricDelivery, "deliver", noted)
    agents, sockets = dead_agents(tmp_path)
    with structlog.testing.capture_logs() as logs:
        sink = begun(agents[which], flush_seconds=0.01)
        for number in range(20_000):
            sink.emit(answered(status=str(100 + number % 500)))
        assert threading.main_thread() not in threads
        started = time.monotonic()
        sink.close()
        assert time.monotonic() - started < 10.0
    for sock in sockets:
        sock.close()
    assert threads
    assert len([line for line in logs if line["event"] == "statsd.undelivered"]) <= 1
    assert capfd.readouterr() == ("", "")


def test_a_missing_agent_is_logged_once(tmp_path):
    """However many packets cannot be delivered, the log says so once a minute at most."""
    with structlog.testing.capture_logs() as logs:
        agent = AgentAddress(socket_path=str(tmp_path / "missing"))
        sink = begun(agent, flush_seconds=0.01)
        for _ in range(20):
            sink.emit(answered())
            time.sleep(0.02)
        sink.close()
    assert [line["event"] for line in logs] == ["statsd.undelivered", "statsd.lost"]
    assert all("No such file" in line["detail"] for line in logs)


def test_a_look_up_that_does_not_end_sends_nothing_after_the_close(monkeypatch):
    """What counts as lost must not arrive later, and the log has ended by then."""
    found, calls = threading.Event(), []

    def deliver(delivery, *arguments):
        calls.append(arguments)
        found.wait(20)
        return [], None

    monkeypatch.setattr(MetricDelivery, "deliver", deliver)
    with structlog.testing.capture_logs() as logs:
        client = DogStatsdClient(AgentAddress("agent.invalid"), [], 0.01)
        client.count(("api.throttled",))
        client.start()
        while not calls:
            time.sleep(0.01)
        assert not client.close(0.05)
        found.set()
        client._thread.join()
    assert len(calls) == 1
    assert [(line["event"], line["dropped"]) for line in logs] == [("statsd.lost", 1)]


def test_a_flush_that_fails_is_not_the_last(monkeypatch):
    """A fault in one flush is logged; the next one is sent, with what the first one had."""
    deliver, faults = MetricDelivery.deliver, [RuntimeError("broken")]

    def deliver_or_fail(delivery, *arguments):
        if faults:
            raise faults.pop()
        return deliver(delivery, *arguments)

    monkeypatch.setattr(MetricDelivery, "deliver", deliver_or_fail)
    with statsd.udp() as receiver, structlog.testing.capture_logs() as logs:
        sink = sink_for(receiver, flush_seconds=0.02)
        sink.emit(settled())
        receiver.wait_for(lambda r: r.total("dispatcher.contacts.settled") == 1)
        assert sink.close()
    assert receiver.total("dispatcher.run.started") == 1
    events = [line["event"] for line in logs]
    assert events == ["statsd.flush_failed", "statsd.undelivered", "statsd.delivered"]


def test_a_metric_that_does_not_exist_is_refused():
    """A misspelt metric is an error where it is measured, which the fan-out counts."""
    with statsd.udp() as receiver:
        sink = sink_for(receiver)
        with pytest.raises(KeyError, match=r"no\.such\.metric"):
            sink._client.count(("no.such.metric",))
        assert sink.close()


def test_an_agent_that_comes_back_is_served(tmp_path):
    """Once the agent's socket is there, metrics arrive without a restart."""
    path = tmp_path / "late"
    sink = begun(AgentAddress(socket_path=str(path)), flush_seconds=0.02)
    sink.emit(answered())
    time.sleep(0.1)
    with statsd.unix(path) as receiver:
        sink.emit(settled())
        receiver.wait_for(lambda r: r.total("dispatcher.contacts.settled") == 1)
        assert sink.close()


def test_datadog_tags_come_from_the_environment(monkeypatch):
    """DD_ENV, DD_SERVICE, DD_VERSION and further tags are on every series, each once."""
    monkeypatch.setenv("DD_ENV", "prod")
    monkeypatch.setenv("DD_SERVICE", "outreach")
    monkeypatch.setenv("DD_VERSION", "1.2.3")
    monkeypatch.setenv("DD_TAGS", "team:sales,env:test")
    monkeypatch.setenv("DATADOG_TAGS", "team:sales")
    receiver = sent(settled())
    wanted = {"env:prod", "service:outreach", "version:1.2.3", "team:sales"}
    assert all(wanted <= metric.tags for metric in receiver.metrics)
    for line in receiver.text.splitlines():
        assert [line.count(name) for name in ("env:", "service:", "version:", "team:")] == [1] * 4


def test_datadog_address_comes_from_the_environment(monkeypatch):
    """DD_AGENT_HOST and DD_DOGSTATSD_PORT win over what the settings say."""
    with statsd.udp() as receiver:
        monkeypatch.setenv("DD_AGENT_HOST", receiver.host)
        monkeypatch.setenv("DD_DOGSTATSD_PORT", str(receiver.port))
        sink = begun(find_agent("192.0.2.1", 9))
        sink.emit(settled())
        assert sink.close()
        receiver.wait_for(lambda r: r.total("dispatcher.contacts.settled") == 1)


def test_the_address_that_was_found_is_the_one_used(monkeypatch):
    """The package reads no address by itself: an explicit agent is where metrics go."""
    monkeypatch.setenv("DD_DOGSTATSD_URL", "udp://192.0.2.1:9")
    monkeypatch.setenv("DD_AGENT_HOST", "192.0.2.1")
    assert sent(settled()).total("dispatcher.contacts.settled") == 1


ids = st.text(alphabet="ghijkXYZ0123456789-+@", min_size=6, max_size=24).map(lambda s: f"Q{s}")


@settings(max_examples=15)
@given(st.lists(ids, min_size=6, max_size=6, unique=True), st.text(max_size=40))
def test_no_id_and_no_text_is_in_any_datagram(some, text):
    """Whatever ids and words are in events, none of them leaves in a metric."""
    a, b, c, d, f, g = some
    words = f"Q{text}"
    receiver = sent(
        e.Answered(Step.OPEN, "409", 0.1, a, b, c, failed=True, words=words),
        e.Settled(a, b, Status.OPENED, Reason.DELIVERED, Relation.LINKED, d, f, c, 1.0),
        e.Deferred(a, b, RetryReason.CONFLICT, 1.0),
        e.ScopeError(ScopeSource.FORBIDDEN, Step.OPEN, a, c, (g,)),
        e.ClosedConflict(Step.OPEN, 409, a, c),
        e.RetryLoop(Step.OPEN, a),
        e.InDoubt("parked", Step.OPEN, a, b, c),
        e.Throttled(None, 1.0, g),
        e.Halted(HaltReason.SCOPE, words),
        answered(status=g),
    )
    assert "Q" not in receiver.text
    assert not any(value in receiver.text for value in some)


FULL = e.Gauges(
    7,
    5,
    12.5,
    5.0,
    0.9,
    quota=e.QuotaUse(300.0, 200.0, 70.0),
    contacts={("ready", "due"): 3, ("waiting", "quiet_hours"): 2, ("final", "delivered"): 10},
    source=e.SourceState(4.25, 100, ended=True, lag=31),
    ledger=e.LedgerState(4096, 10**9, 0.0035),
    loop_lag=0.0125,
)


def test_quota_source_ledger_and_loop():
    """Each has its own gauge, in its own unit."""
    receiver = sent(FULL)
    found = {
        name: receiver.gauge(f"dispatcher.{name}")
        for name in (
            "quota.limit", "quota.own", "quota.others", "source.age", "source.ended",
            "source.lag", "ledger.size", "ledger.disk_free", "ledger.commit", "loop.lag",
        )
    }  # fmt: skip
    assert found == {
        "quota.limit": 300, "quota.own": 200, "quota.others": 70, "source.age": 4.25,
        "source.ended": 1, "source.lag": 31, "ledger.size": 4096,
        "ledger.disk_free": 10**9, "ledger.commit": 3.5, "loop.lag": 12.5,
    }  # fmt: skip


def test_contacts_by_state_and_reason():
    """A reason that no contact has any more is 0, so that the sum stays true."""
    receiver = sent(FULL, replace(FULL, contacts={("final", "delivered"): 15}))
    tags = {"waiting": "quiet_hours", "ready": "due", "final": "delivered"}
    assert {
        state: receiver.gauge("dispatcher.contacts.current", f"state:{state}", f"reason:{reason}")
        for state, reason in tags.items()
    } == {"waiting": 0, "ready": 0, "final": 15}


def test_requests_for_tokens():
    """By their status, and how long they took; of several clients each."""
    receiver = sent(e.TokenRequested("200", 0.25), e.TokenRequested("503", 0.5))
    series = receiver.series("dispatcher.token.requests", "status")
    assert {status: number for (status,), number in series.items() if number} == {
        "200": 1, "503": 1,
    }  # fmt: skip
    assert sorted(receiver.samples("dispatcher.token.latency")) == [250.0, 500.0]
    receiver = sent(e.TokenRequested("401", 0.25, "north"), clients=("north", "south"))
    assert receiver.total("dispatcher.token.requests", "status:401", "client:north") == 1
    assert receiver.total("dispatcher.token.requests", "client:south") == 0


def test_halts_are_counted_and_their_seconds_shown():
    """A halt of no time counts; while one lasts its seconds grow, and then they are 0 again."""
    clock = [100.0]
    halt = e.Halted(HaltReason.SCOPE, "detail")
    with statsd.udp() as receiver:
        sink = sink_for(receiver, flush_seconds=60, monotonic=lambda: clock[0])
        sink.emit(halt)
        sink.emit(e.Resumed(HaltReason.SCOPE, 0.0))
        sink.emit(halt)
        clock[0] = 107.5
        sink.emit(FULL)
        sink.emit(halt)
        clock[0] = 110.0
        sink.emit(FULL)
        assert sink.close()
        receiver.settle(0.1)
    assert receiver.total("dispatcher.halts", "reason:scope") == 3
    assert receiver.total("dispatcher.halts") == 3
    assert receiver.gauge("dispatcher.halted.seconds", "reason:scope") == 10.0
    assert receiver.gauge("dispatcher.halted.seconds", "reason:platform_down") == 0.0
    receiver = sent(halt, e.Resumed(HaltReason.SCOPE, 3.0))
    assert receiver.gauge("dispatcher.halted.seconds", "reason:scope") == 0.0


def test_requests_for_each_contact():
    """Of the last five minutes."""
    receiver = sent(*[answered()] * 9, *[settled()] * 3, FULL)
    assert receiver.gauge("dispatcher.requests.per_contact") == 3.0
