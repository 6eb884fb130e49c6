"""Azure's blob storage, played by azurite, which npm installs: ``npm install -g azurite``."""

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.support.lazy_imports import Lazily

obstore = Lazily("obstore")

PROGRAM = "azurite-blob"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every azurite has, as its documentation has it."""
START_SECONDS = 20.0


@dataclass
class Container:
    """A container of its own on a running server."""

    endpoint: str
    name: str

    @property
    def address(self) -> str:
        """The address of the container, without a last slash."""
        return f"az://{ACCOUNT}/{self.name}"

    @property
    def config(self) -> dict[str, str]:
        """How the container is reached, as the library names it."""
        return {"endpoint": self.endpoint, "account_key": KEY}

    def put(self, key: str, data: bytes) -> None:
        """Write an object, in place of one that has the key."""
        options = {"account_name": ACCOUNT, "client_options": {"allow_http": True}}
        store = obstore.store.AzureStore(self.name, config=self.config, **options)
        obstore.put(store, key, data)


@dataclass
class Azurite:
    """A running server."""

    port: int

    def bucket(self) -> Container:
        """Return a new, empty container."""
        endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        name = f"container{uuid.uuid4().hex[:12]}"
        request = urllib.request.Request(
            f"{endpoint}/{name}?restype=container", data=b"", method="PUT", headers=_signed(name)
        )
        with urllib.request.urlopen(request, timeout=10):
            return Container(endpoint, name)


@contextmanager
def azurite() -> Iterator[Azurite]:
    """Run the server for as long as the block lasts; skip the test if it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.skip(f"{PROGRAM} is not on PATH; npm install -g azurite")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        places = ["--location", folder, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
        quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        process = subprocess.Popen([program, *places, *quiet], stdout=subprocess.DEVNULL)
        try:
            _wait_until_up(port, process)
            yield Azurite(port)
        finally:
            process.terminate()
            process.wait(10)


def _wait_until_up(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _signed(container: str) -> dict[str, str]:
    """Return the headers of a request that creates a container, signed with the account's key."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": "2021-12-02"}
    shown = "".join(f"{name}:{value}\n" for name, value in headers.items())
    nothing = "\n" * 12  # headers that the request does not have
    text = f"PUT{nothing}{shown}/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {**headers, "Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Type": ""}
