"""The real pgbouncer in transaction mode, where it is installed: `apt-get install pgbouncer`."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.lazy_imports import Lazily
from tests.support.servers.postgres import (
    PASSWORD,
    USER,
    cluster_folder,
    free_port,
    give,
    owner,
)

psycopg = Lazily("psycopg")
PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin")
MISSING = "pgbouncer is not installed (apt-get install pgbouncer)"
SESSIONS = 2
"""So few sessions of the server have all clients of one database together."""


@contextmanager
def pgbouncer(port: int) -> Iterator[int]:
    """Run a pooler before a server for as long as the block lasts; yield its own port."""
    assert PROGRAM, MISSING
    with cluster_folder() as folder:
        own = free_port()
        (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {own}\nunix_socket_dir =\nauth_type = plain\npool_mode = transaction\n"
            f"auth_file = {folder / 'users'}\ndefault_pool_size = {SESSIONS}\n"
        )
        for path in (folder, *folder.iterdir()):
            give(path)
        with (folder / "log").open("wb") as log:
            command = [PROGRAM, str(folder / "pgbouncer.ini")]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **owner())
        try:
            _wait_until_ready(own, process)
            yield own
        finally:
            process.terminate()
            process.wait(10)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    where = {"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD}
    for _ in range(200):
        assert process.poll() is None, "pgbouncer has ended"
        try:
            psycopg.connect(**where, dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("pgbouncer does not answer")
