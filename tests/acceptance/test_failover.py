"""Two dispatchers on one ledger: who leads, who waits, and that nobody gets two messages."""

import signal
import time

import pytest

from dispatcher.domain.errors import ExitCode
from tests.support import forked_process
from tests.support.health import health
from tests.support.pg_proxy import PgProxy
from tests.support.servers.postgres import USER, free_port, postgres
from tests.support.two_clients import ENVIRONMENT, SCENARIO, SECOND_ID
from tests.support.two_daemons import stop, two_daemons

pytestmark = [pytest.mark.xdist_group("failover"), pytest.mark.timeout(120)]
"""A server of their own: they wait for leases, and no other test shall wait for them."""

WORKERS = 16


@pytest.fixture(scope="module")
def server():
    """Databases of PostgreSQL."""
    with postgres(fsync=True) as running:
        yield running


@pytest.fixture
def pair(tmp_path, server):
    """A platform and an empty ledger; each contact takes two requests of some 20 ms."""
    with two_daemons(tmp_path, server.database(), per_second=40) as made:
        made.settings = {"engine.workers": WORKERS}
        yield made


def begin(pair, count, **settings):
    """A leader that sends, and a standby that waits."""
    pair.write(count)
    leader = pair.start(**settings)
    pair.wait_for_leader()
    standby = pair.start(**settings)
    pair.wait_for_standby(standby)
    pair.sandbox.wait_for_effects(20)
    return leader, standby


def finish(pair):
    """Wait until every contact is final: each has got one message."""
    pair.finish()
    assert (pair.twice(), pair.lost()) == ([], [])
    assert pair.statuses()["parked", "in_doubt"] == 0


def test_a_standby_takes_over_from_a_leader_that_is_killed(pair):
    """Within the lease and two seconds. Until then it does nothing but wait, and says for whom."""
    port = free_port()
    leader, standby = begin(pair, 200, **{"telemetry.health_port": 0})
    standby.process.terminate()
    began = time.monotonic()
    assert standby.ended()[0] == 0
    assert time.monotonic() - began < 2.0
    assert not standby.events("run.started")
    second = pair.start(**{"telemetry.health_port": port})
    pair.wait_for_standby(second)
    (waits,) = second.events("run.standby")[:1]
    assert waits["lease"] == "campaign pair"
    assert str(leader.pid) in waits["leader"]
    assert [health(port, page)[0] for page in ("/healthz", "/readyz", "/leaderz")] == [
        200, 200, 503,
    ]  # fmt: skip
    assert health(port, "/status")[1]["leader"]["leading"] is False
    stop(leader, signal.SIGKILL)
    killed = time.monotonic()
    assert pair.wait_for_leader(leader) is second
    assert time.monotonic() - killed <= pair.lease_seconds + 2.0
    pair.until(lambda: bool(second.events("run.started")), "it has not begun")
    assert second.events("run.started")[0]["in_doubt"] <= WORKERS
    pair.until(lambda: health(port, "/leaderz")[0] == 200, "it does not say that it leads")
    finish(pair)


def test_a_leader_that_is_drained_hands_over_at_once(pair):
    """It gives its leases back, so that nobody waits for their end. Nothing is in doubt."""
    leader, standby = begin(pair, 140)
    leader.process.terminate()
    code, said = leader.ended()
    ended = time.monotonic()
    assert (code, "drained" in said) == (0, True)
    assert pair.wait_for_leader(leader) is standby
    assert time.monotonic() - ended <= 2.0
    pair.until(lambda: bool(standby.events("run.started")), "it has not begun")
    assert standby.events("run.started")[0]["in_doubt"] == 0
    finish(pair)


@pytest.mark.long
def test_a_leader_that_is_stopped_beyond_its_lease_sends_nothing_afterwards(pair):
    """It ends with a code of its own, and says why; whoever starts it again gets a standby."""
    leader, standby = begin(pair, 140)
    stop(leader, signal.SIGSTOP)
    assert pair.wait_for_leader(leader) is standby
    pair.until(lambda: bool(standby.events("run.started")), "it has not begun")
    time.sleep(1.0)
    stop(leader, signal.SIGCONT)
    code, said = leader.ended()
    assert code == ExitCode.LEASE_LOST
    assert "taken over" in said
    (lost,) = leader.events("run.lease_lost")
    assert "taken over" in lost["detail"]
    again = pair.start()
    pair.wait_for_standby(again)
    finish(pair)


@pytest.mark.long
def test_a_standby_of_a_run_with_an_end_finds_everything_done(pair):
    """Both start at once on an empty database: one makes the tables, and sends to everybody."""
    pair.write(60)
    both = [pair.start("--once", **pair.files()) for _ in range(2)]
    leader = pair.wait_for_leader()
    (standby,) = (one for one in both if one is not leader)
    pair.wait_for_standby(standby)
    assert leader.ended()[0] == 0
    assert standby.ended()[0] == 0
    assert standby.events("run.took_over")
    assert sum(pair.messages().values()) == 60
    finish(pair)


@pytest.mark.long
def test_an_order_from_another_machine_is_followed(pair):
    """The leader takes no commands by a socket here, so the order goes through the database."""
    leader, _ = begin(pair, 250)
    url = next(one for one in leader.process.args if one.startswith("ledger.url="))
    where = ["--ledger", url.partition("=")[2], "--campaign", "pair"]
    environment = {
        **forked_process.clean_environment(),
        "LEDGER_PASSWORD": pair.database.password,
        "DISPATCHER__LEDGER__PASSWORD_VARIABLE": "LEDGER_PASSWORD",
    }

    def command(name):
        done = forked_process.run(["-m", "dispatcher", name, *where], environment)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "looks for it within seconds" in command("pause")
    pair.until(lambda: bool(leader.events("campaign.paused")), "it is not paused", 5)
    time.sleep(0.5)
    before = len(pair.sandbox.effects())
    time.sleep(1.0)
    assert len(pair.sandbox.effects()) == before < 250
    shown = command("status")
    assert f"-{leader.pid} on " in shown
    assert "campaign pair" in shown
    command("resume")
    finish(pair)


@pytest.mark.long
def test_dispatchers_with_campaigns_and_clients_of_their_own_run_side_by_side(tmp_path, server):
    """One whose campaign or client another one has waits, and says which."""
    with two_daemons(tmp_path, server.database(), scenario=SCENARIO) as made:
        made.write(20)
        north = made.environment
        south = {
            "DISPATCHER_CLIENT_ID": SECOND_ID,
            "DISPATCHER_CLIENT_SECRET": ENVIRONMENT["DISPATCHER_CLIENT_SECRET__SOUTH"],
        }
        first = made.start()
        made.wait_for_leader()
        made.campaign, made.environment = "other", south
        second = made.start()
        made.until(lambda: made.leader("other") is second, "it does not lead beside the other one")
        made.environment = north
        made.campaign = "third"
        third = made.start()
        made.wait_for_standby(third)
        (waits,) = third.events("run.standby")[:1]
        assert waits["lease"].startswith("client ")
        assert str(first.pid) in waits["leader"]
        assert made.leader("pair") is first


@pytest.fixture
def proxy(server):
    """The way of one machine to the server."""
    between = PgProxy(server.port)
    yield between
    between.close()


def behind(pair, proxy):
    """The settings of a dispatcher that reaches the ledger by the proxy."""
    return {"ledger.url": f"postgresql://{USER}@127.0.0.1:{proxy.port}/{pair.database.name}"}


@pytest.mark.long
def test_while_the_ledger_is_away_nobody_sends_and_a_standby_can_still_be_ended(pair, proxy):
    """For longer than the lease: the run goes on by itself, and says how long it waited."""
    port, away = free_port(), behind(pair, proxy)
    pair.write(120)
    leader = pair.start(**away, **{"telemetry.health_port": port})
    pair.wait_for_leader()
    standby = pair.start(**away)
    pair.wait_for_standby(standby)
    pair.sandbox.wait_for_effects(20)
    proxy.refuse()
    proxy.cut()
    pair.until(lambda: bool(leader.events("ledger.away")), "it does not notice", 10)
    assert health(port, "/healthz")[0] == 200
    assert health(port, "/readyz")[0] == 503
    time.sleep(pair.lease_seconds)  # what was sent with an intent has its effect
    before = len(pair.sandbox.effects())
    standby.process.terminate()
    began = time.monotonic()
    assert standby.ended()[0] == 0
    assert time.monotonic() - began < 3.0
    time.sleep(0.5)
    assert len(pair.sandbox.effects()) == before < 120
    proxy.accept()
    pair.until(lambda: bool(leader.events("ledger.back")), "it is not back", 30)
    pair.sandbox.wait_for_effects(before + 20)
    assert leader.process.poll() is None
    finish(pair)


@pytest.mark.long
def test_a_leader_whose_network_is_gone_sends_nothing_and_is_replaced(pair, proxy):
    """Its connection is half-open: no error tells it. When the network is back it is told."""
    pair.write(120)
    leader = pair.start(**behind(pair, proxy))
    pair.wait_for_leader()
    standby = pair.start()
    pair.wait_for_standby(standby)
    pair.sandbox.wait_for_effects(20)
    proxy.stall()
    assert pair.wait_for_leader(leader) is standby
    pair.until(pair.only_doubts_left, "the new leader does not go on", 60)
    assert leader.process.poll() is None
    proxy.flow()
    code, said = leader.ended()
    assert (code, "taken over" in said) == (ExitCode.LEASE_LOST, True)
    finish(pair)
