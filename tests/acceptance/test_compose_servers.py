"""The two servers of deploy/compose/postgres, by their script: never two primaries of one ledger.

The script is played as it is, with stand-ins for what only the image has: its entrypoint, and the
change of the user.
"""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.servers.postgres import binaries, cluster_folder, free_port, give, owner

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]

SCRIPT = Path(__file__).parents[2] / "deploy" / "compose" / "postgres" / "node.sh"
SECONDS = 60.0
STAND_INS = {
    "gosu": 'shift; exec "$@"',
    "install": 'mkdir -p "${@: -1}"; chmod 700 "${@: -1}"',
    "docker-entrypoint.sh": """
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --pgdata "$PGDATA" --username postgres --auth trust --no-sync > /dev/null
  echo "CREATE ROLE replication LOGIN REPLICATION" |
    postgres --single -D "$PGDATA" postgres > /dev/null
fi
exec "$@" -p "$PORT" -k "$SOCKETS" -c listen_addresses=127.0.0.1 -c fsync=off
""",
}


class Server:
    """One server of the pair, which is started by the script."""

    def __init__(self, folder, name):
        self.folder, self.name, self.port = folder, name, free_port()
        self.data, self.log = folder / name / "data", folder / f"{name}.log"
        self.data.parent.mkdir()
        give(self.data.parent)
        self.process = None

    def start(self, peer, **given):
        """Start the script, as compose does."""
        environment = {
            **os.environ, **given, "PGDATA": str(self.data), "HOSTNAME": self.name,
            "PEER": f"127.0.0.1 port={peer.port}", "PORT": str(self.port),
            "SOCKETS": str(self.data.parent),
            "PATH": f"{self.folder}:{binaries()}:{os.environ['PATH']}",
        }  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["bash", self.folder / "node.sh"], env=environment, cwd=self.folder,
                stdout=log, stderr=log, **owner(),
            )  # fmt: skip

    def kill(self):
        """End it and all its processes at once, as a machine that is gone."""
        if self.process is None or self.process.poll() is not None:
            return
        server = psutil.Process(self.process.pid)
        children = server.children(recursive=True)
        for each in (server, *children):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait(10)
        psutil.wait_procs(children, 10)

    def value(self, query):
        where = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": "postgres"}
        with psycopg.connect(**where, connect_timeout=3, autocommit=True) as connection:
            row = connection.execute(query)
            return row.fetchone()[0] if row.description else None

    def is_primary(self):
        """True or False; None while it does not answer."""
        try:
            return self.value("SELECT NOT pg_is_in_recovery()")
        except psycopg.Error:
            return None

    def says(self, words):
        return words in " ".join(self.log.read_text(errors="replace").split())

    def refused(self):
        """Return what it said when it ended by itself."""
        assert self.process.wait(SECONDS) == 1
        return " ".join(self.log.read_text().split())


def until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.1)


def streams(standby):
    """True if it follows its primary; a copy that is still made looks like it at the primary."""
    return standby.is_primary() is False and standby.value(
        "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"
    )


@pytest.fixture
def pair():
    """The first primary and its standby, which was started before it."""
    with cluster_folder() as folder:
        text = SCRIPT.read_text().replace("/run/secrets", str(folder))
        for name, script in {**STAND_INS, "node.sh": text}.items():
            (folder / name).write_text(script if name == "node.sh" else f"#!/bin/bash\n{script}\n")
            (folder / name).chmod(0o755)
        (folder / "replication-password").write_text("none")
        db1, db2 = servers = Server(folder, "db1"), Server(folder, "db2")
        try:
            db2.start(db1)
            until(lambda: db2.says("has no data, and waits"))
            db1.start(db2, FIRST="yes")
            until(db1.is_primary)
            until(lambda: streams(db2))
            yield servers
        finally:
            for server in servers:
                server.kill()


def fail_over(old, new):
    """Let the primary die, and promote its standby, which commits something then."""
    old.kill()
    new.value("SELECT pg_promote(true, 30)")
    new.value("CREATE TABLE sent_after_the_failover (a int)")


@pytest.mark.long
def test_a_primary_starts_when_its_peer_is_its_standby(pair):
    """Whichever is started first; without an answer of the other one nobody is primary."""
    db1, db2 = pair
    for server in pair:
        server.kill()
    db1.start(db2)
    until(lambda: db1.says("waits for 127.0.0.1"))
    assert db1.says("This server was primary, on timeline 1")
    assert db1.is_primary() is None
    db2.start(db1)
    until(db1.is_primary)
    until(lambda: streams(db2))


def test_after_a_failover_only_the_new_primary_goes_on(pair):
    """The old one waits for it, then refuses; without its data it becomes the standby."""
    db1, db2 = pair
    fail_over(db1, db2)
    db2.kill()
    for server, peer in ((db1, db2), (db2, db1)):
        server.start(peer)
    until(lambda: db1.says("on timeline 1") and db2.says("on timeline 2"))
    assert db1.is_primary() is db2.is_primary() is None
    db2.kill()
    db2.start(db1, ALONE="db2")
    assert "Remove the data of this server" in db1.refused()
    shutil.rmtree(db1.data)
    db1.start(db2)
    until(lambda: streams(db1))
    until(lambda: db1.value("SELECT to_regclass('sent_after_the_failover')") is not None)


@pytest.mark.long
def test_a_newer_server_is_never_told_to_remove_its_data(pair):
    """If somebody lets the old primary go on, its peer has commits that it lacks."""
    db1, db2 = pair
    fail_over(db1, db2)
    db2.kill()
    db1.start(db2, ALONE="db1")
    until(db1.is_primary)
    db2.start(db1)
    said = db2.refused()
    assert "Remove the data" not in said
    assert "lacks what was committed here" in said
    assert "timeline 2, and 1 there" in said


@pytest.mark.long
def test_a_server_that_has_begun_a_new_database_is_no_reason_to_remove_data(pair):
    """It was started with FIRST and an empty folder, while the other one was away."""
    db1, db2 = pair
    fail_over(db1, db2)
    db2.kill()
    shutil.rmtree(db1.data)
    db1.start(db2, FIRST="yes")
    until(db1.is_primary)
    db2.start(db1)
    said = db2.refused()
    assert "the primary of another database" in said
    assert "Remove no data" in said
