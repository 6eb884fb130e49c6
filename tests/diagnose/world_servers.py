"""What worlds need beside the sandbox: a broker, a server for the ledger, a small disk."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers.kafka import Broker, kafka
from tests.support.servers.postgres import USER, Cluster, cluster_folder

TOPIC = "contacts"


@dataclass(frozen=True)
class LedgerServer:
    """A server of PostgreSQL, and the URL of the ledger on it."""

    cluster: Cluster
    url: str


@contextmanager
def broker_with(messages: Sequence[str]) -> Iterator[Broker | None]:
    """A broker with these messages; none if there are none."""
    if not messages:
        yield None
        return
    with kafka() as running:
        running.topic(name=TOPIC).put(*(message.encode() for message in messages))
        yield running


@contextmanager
def ledger_server(state: str) -> Iterator[LedgerServer | None]:
    """A server with an empty database, which has ended if it is to be "down"."""
    if not state:
        yield None
        return
    with cluster_folder() as folder:
        cluster = Cluster(folder, "fsync=on")
        cluster.create()
        try:
            database = cluster.start().database()
            if state == "down":
                cluster.kill()
            url = f"postgresql://{USER}@127.0.0.1:{database.port}/{database.name}"
            yield LedgerServer(cluster, url)
        finally:
            cluster.stop()


def can_mount() -> bool:
    """Whether small disks can be made here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A small disk of its own, in memory."""
    if not megabytes:
        yield
        return
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "dispatcher-diagnose", str(folder)]
    subprocess.run(["mount", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
