"""A run that begins before the server of its ledger answers: it waits, and says so."""

import signal
import time

import pytest

from dispatcher.domain.errors import ExitCode
from tests.support.health import health
from tests.support.servers.postgres import Cluster, cluster_folder, free_port
from tests.support.two_daemons import two_daemons

pytestmark = [pytest.mark.xdist_group("ledger away at start"), pytest.mark.timeout(120)]
"""A server of their own, which they stop."""


@pytest.fixture(scope="module")
def cluster():
    """A server that each test starts."""
    with cluster_folder() as folder:
        made = Cluster(folder, "fsync=on")
        made.create()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def made(tmp_path, cluster):
    """A platform, a file of contacts, and an empty database on a server that runs."""
    if cluster.is_running:
        cluster.kill()
    database = cluster.start().database()
    with two_daemons(tmp_path, database) as one:
        one.write(20)
        yield one


def start_without(made, cluster, *more, **settings):
    """Start a run whose server has ended; return it when it waits, and the port of its health."""
    cluster.kill()
    port = free_port()
    run = made.start(*more, **{"telemetry.health_port": port}, **settings)
    made.until(lambda: bool(run.events("ledger.away")), "it does not wait")
    return run, port


def test_a_run_waits_for_a_server_that_starts_after_it(made, cluster):
    """As on a machine that boots beside its database. Health has the reason meanwhile."""
    run, port = start_without(made, cluster)
    (line,) = run.events("ledger.away")
    assert line["level"] == "warning"
    assert "the server does not answer" in line["detail"]
    assert made.database.password not in line["detail"]
    assert [health(port, page)[0] for page in ("/healthz", "/readyz", "/leaderz")] == [
        200, 503, 503,
    ]  # fmt: skip
    assert health(port, "/readyz")[1] == {"ready": False, "reason": "ledger_away"}
    status = health(port, "/status")[1]
    assert status["leader"]["leading"] is False
    assert status["ledger"]["away_seconds"] > 0
    cluster.start()
    made.wait_for_leader()
    made.finish()
    made.until(lambda: bool(run.events("ledger.back")), "it does not say that it is back")
    assert health(port, "/readyz")[0] == 200
    assert (made.twice(), made.lost()) == ([], [])


def test_a_run_with_an_end_waits_too(made, cluster):
    run, _ = start_without(made, cluster, "--once", **made.files())
    cluster.start()
    code, said = run.ended()
    assert code == ExitCode.DONE, said
    assert (made.twice(), made.lost()) == ([], [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_at_once(made, cluster, number):
    run, _ = start_without(made, cluster)
    run.process.send_signal(number)
    began = time.monotonic()
    code, said = run.ended()
    assert time.monotonic() - began < 2.0
    assert code == ExitCode.DONE
    assert "ended while it waited for the server of its ledger; it has sent nothing" in said


def test_a_signal_ends_a_start_whose_server_is_silent(made, cluster):
    """Nothing refuses the connection: its thread waits, and the end does not wait for that."""
    cluster.server.freeze()
    try:
        port = free_port()
        run = made.start(**{"telemetry.health_port": port})
        made.until(lambda: health(port, "/healthz")[0] == 200, "it has no health")
        run.process.terminate()
        began = time.monotonic()
        assert run.ended()[0] == ExitCode.DONE
        assert time.monotonic() - began < 2.0
    finally:
        cluster.server.thaw()


def test_what_no_wait_cures_ends_the_run_at_once(made, cluster):
    """A password, a database, a role: the message says what to do."""
    server = f"postgresql://dispatcher@127.0.0.1:{cluster.server.port}"
    for url, words in (
        (f"{server}/nothing", "create it, or correct ledger.url"),
        (f"{server}/{made.database.name}?sslmode=allways", "correct the options of ledger.url"),
        (f"{server.replace('dispatcher@', 'nobody@')}/x", "the server refuses the login"),
    ):
        code, said = made.start(**{"ledger.url": url}).ended(20)
        assert (code, words in said) == (ExitCode.LEDGER, True), said
