"""A local server that speaks Snowflake's protocol (fakesnow), in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dispatcher.drivers.snowflake.login import SnowflakeLogin
from dispatcher.drivers.snowflake.session import SnowflakeSession

PASSPHRASE = "key-secret-7S"
"""What the private key is encrypted with."""
USER, ROLE, WAREHOUSE = "DISPATCHER", "DISPATCHER_ROLE", "DISPATCHER_WH"


@dataclass
class Snowflake:
    """A running server."""

    port: int
    key_file: Path
    _process: "subprocess.Popen[bytes]" = field(repr=False)

    def database(self) -> "SnowflakeDatabase":
        """Return a new, empty database."""
        return SnowflakeDatabase(self, f"DB_{uuid.uuid4().hex[:12].upper()}")

    def freeze(self) -> None:
        """Let nothing be answered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._process.send_signal(signal.SIGCONT)

    def end_sessions(self) -> None:
        """Roll back and end all sessions, as Snowflake does with those of clients that are dead."""
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/test/end-sessions", data=b"").close()


@dataclass
class SnowflakeDatabase:
    """A database of its own on a running server."""

    server: Snowflake
    name: str

    @property
    def login(self) -> SnowflakeLogin:
        """A login with the key pair."""
        return SnowflakeLogin(
            "acme-test", USER, ROLE, WAREHOUSE, self.name, "PUBLIC",
            private_key_file=str(self.server.key_file), passphrase=PASSPHRASE,
            host="127.0.0.1", port=self.server.port, protocol="http", timeout_seconds=5,
        )  # fmt: skip

    def settings(self, prefix: str = "source.snowflake") -> dict[str, Any]:
        """Return the settings that log in, without the passphrase."""
        login = self.login
        values = {
            "account": login.account, "user": login.user, "role": login.role,
            "warehouse": login.warehouse, "database": self.name, "schema_name": "PUBLIC",
            "private_key_file": login.private_key_file, "host": login.host, "port": login.port,
            "protocol": login.protocol, "timeout_seconds": 5,
        }  # fmt: skip
        return {f"{prefix}.{key}": value for key, value in values.items()}

    def execute(self, *statements: str, **options: Any) -> Sequence[Sequence[Any]]:
        """Execute statements, each committed at once; return the rows of the last one."""
        session = SnowflakeSession(replace(self.login, timeout_seconds=60))
        try:
            for statement in statements:
                rows = session.execute(statement, **options).fetchall()
        finally:
            session.close()
        return [tuple(row) for row in rows]

    def write(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows; their values come as one JSON text."""
        names = list(rows[0])
        values = ", ".join(f"value:{name}::text AS {name}" for name in names)
        for start in range(0, len(rows), 500):
            text = json.dumps(rows[start : start + 500]).replace("'", "''")
            self.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} "
                f"FROM TABLE(FLATTEN(input => PARSE_JSON('{text}')))"
            )


@lru_cache(maxsize=1)
def _private_key() -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow to import
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - as above

    key = rsa.generate_private_key(65537, 2048)
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    pkcs8 = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, encryption)


@contextmanager
def snowflake() -> Iterator[Snowflake]:
    """Run a server for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="snowflake-") as folder, socket.socket() as probe:
        key_file = Path(folder) / "rsa_key.p8"
        key_file.write_bytes(_private_key())
        key_file.chmod(0o600)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        program = "tests.support.servers.snowflake_program"
        with (Path(folder) / "log").open("wb") as log:
            command = [sys.executable, "-m", program, str(port)]
            environment = {**os.environ, "TMPDIR": folder}
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=Path(__file__).parents[3]
            )
        try:
            _wait_until_ready(port, process)
            yield Snowflake(port, key_file, process)
        finally:
            process.kill()
            process.wait(10)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert process.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server does not answer")
