"""A campaign that moves to another ledger, as installed: from a file to a database, and back.

The copy is killed on the way, and so are the runs before it. The sandbox's log says who was
reached.
"""

import time

import pytest

from tests.support import forked_process
from tests.support.crash_platform import reconcile_settings
from tests.support.forked_process import Forked, clean_environment
from tests.support.scenario_runner import assert_nobody_twice_nobody_missing, play
from tests.support.servers.postgres import (
    PASSWORD,
    PASSWORD_VARIABLE,
    USER,
    Cluster,
    cluster_folder,
)

pytestmark = pytest.mark.xdist_group("postgres_server")

WORLD = """
[rate]
allowed = 4000
window_seconds = 2.0
[analytics]
lag_seconds = 0.05
[latency.default]
kind = "uniform"
low_ms = 30.0
high_ms = 60.0
[world.shares]
active = 1
ended = 1
"""
COUNT, WORKERS = 300, 20


@pytest.fixture(scope="module")
def server():
    """A server that is as durable as a run demands."""
    with cluster_folder() as folder:
        cluster = Cluster(folder)
        cluster.create()
        try:
            yield cluster.start()
        finally:
            cluster.stop()


@pytest.fixture
def url(server):
    return f"postgresql://{USER}@127.0.0.1:{server.port}/{server.database().name}"


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "world.toml"
    scenario.write_text(WORLD)
    with play(tmp_path, scenario, COUNT) as each:
        each.environment[PASSWORD_VARIABLE] = PASSWORD
        short = {"engine.workers": WORKERS, "engine.wait_limit_seconds": 5}
        each.settings.update(reconcile_settings(), **short)
        yield each


def copy(*arguments, kill_after=None):
    """Copy a ledger; with ``kill_after`` end the command by SIGKILL after so many seconds."""
    command = ["-m", "dispatcher", "ledger", "copy", *map(str, arguments)]
    environment = {**clean_environment(), PASSWORD_VARIABLE: PASSWORD}
    password = ["--password-variable", PASSWORD_VARIABLE]
    if kill_after is None:
        return forked_process.run([*command, *password], environment)
    process = Forked([*command, *password], environment)
    time.sleep(kill_after)
    process.kill()
    process.wait(10)
    process.close()
    return None


def in_database(url):
    """The options of a run with its ledger there."""
    settings = {"password_variable": PASSWORD_VARIABLE, "lease_seconds": 3}
    sets = [part for key, value in settings.items() for part in ("--set", f"ledger.{key}={value}")]
    return ["--ledger", url, *sets]


def kill_after(played, effects, *arguments):
    """Begin a run, and kill it when so many messages have taken effect."""
    run = played.start("--once", *arguments)
    played.sandbox.wait_for_effects(effects)
    run.kill()
    run.wait(10)
    run.close()


def refused(played, *arguments):
    """What a run says that does not accept its ledger."""
    done = played.run(*arguments)
    assert done.returncode == 4, done.stderr
    return done.stderr


@pytest.mark.long
def test_a_campaign_goes_on_in_a_database_and_back_in_a_file(played, tmp_path, url):
    """Runs are killed in each ledger, and copies in both directions; nobody is reached twice."""
    back = tmp_path / "back.db"
    kill_after(played, 60)
    for seconds in (0.2, 0.4):  # the second one may have just ended
        copy("--from", played.ledger, "--to", url, kill_after=seconds)
    moved = copy("--from", played.ledger, "--to", url)
    assert moved.returncode == 0, moved.stderr
    assert "has moved to postgresql://" in refused(played)

    kill_after(played, 150, *in_database(url))
    busy = copy("--from", url, "--to", played.ledger)
    assert (busy.returncode, "it has moved to" in busy.stderr) == (4, False)
    copy("--from", url, "--to", back, kill_after=0.4)
    moved = copy("--from", url, "--to", back)
    assert moved.returncode == 0, moved.stderr
    assert "back.db" in refused(played, *in_database(url))
    assert "has moved to" in refused(played)

    done = played.run("--ledger", str(back))
    assert done.returncode in (0, 10), done.stderr
    played.ledger.rename(tmp_path / "old.db")
    back.rename(played.ledger)
    assert_nobody_twice_nobody_missing(played)
    ends = played.status_counts()
    delivered = ends["notified", "delivered"] + ends["opened", "delivered"]
    in_doubt = ends["in_doubt", None]  # of runs that were killed before or after a send
    assert (delivered + in_doubt, in_doubt <= 2 * WORKERS) == (COUNT, True)
    assert len(played.sandbox.effects()) >= delivered


@pytest.mark.long
def test_a_copy_that_was_given_up_leaves_the_old_ledger_as_it_was(played, url):
    """The run goes on there, and the next copy has what it did."""
    places = ["--from", played.ledger, "--to", url]
    assert played.run("--limit", "20").returncode == 0
    assert copy(*places).returncode == 0
    assert "has moved to" in refused(played)
    given_up = copy(*places, "--undo")
    assert (given_up.returncode, given_up.stderr) == (0, "")
    assert played.run("--limit", "30").returncode == 0
    assert copy(*places).returncode == 0
    assert played.run(*in_database(url)).returncode == 0
    late = copy(*places, "--undo")
    assert late.returncode == 4
    assert "was used since" in late.stderr
    back = played.folder / "back.db"
    assert copy("--from", url, "--to", back).returncode == 0
    played.ledger.rename(played.folder / "old.db")
    back.rename(played.ledger)
    assert_nobody_twice_nobody_missing(played)
    assert len(played.sandbox.effects()) == COUNT
