"""A dispatcher whose contacts are posted, and a client that posts until it has an answer."""

import http.client
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import forked_process
from tests.support.crash_platform import TIMEOUT_SECONDS, reconcile_settings
from tests.support.forked_process import ROOT, Forked, clean_environment
from tests.support.ledgers import AnyLedger, ledger_in, settings_of
from tests.support.sandbox_process import SandboxProcess
from tests.support.scenario_runner import CREDENTIALS, QUICK

EXAMPLE = ROOT / "config" / "examples" / "http.toml"
CAMPAIGN = "cart-2026-11"
WAIT_SECONDS = 0.05
LAST_SECONDS = 30.0

Rows = Sequence[Mapping[str, object]]


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class PostedRun:
    """Runs of the example for HTTP, one after the other, at one address and with one ledger."""

    folder: Path
    sandbox: SandboxProcess
    settings: Mapping[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    running: Forked | None = None

    @property
    def ledger(self) -> AnyLedger:
        """Where the ledger is."""
        return ledger_in(self.folder)

    def command(self, name: str, *more: str) -> list[str]:
        """Return the arguments of a command with the example's settings."""
        values = {
            **QUICK,
            **reconcile_settings(),
            "platform.timeout_seconds": TIMEOUT_SECONDS,
            "telemetry.log_file": str(self.folder / "dispatcher.log"),
            "source.http.port": self.port,
            **settings_of(self.ledger),
            **self.settings,
        }
        command = ["-m", "dispatcher", name, "--config", str(EXAMPLE), "--ledger", str(self.ledger)]
        command += ["--platform-url", self.sandbox.url]
        for key, value in values.items():
            command += ["--set", f"{key}={value}"]
        return [*command, *more]

    def start(self) -> Forked:
        """Start a run."""
        self.running = Forked(self.command("run"), self.environment)
        return self.running

    def kill(self) -> None:
        """End the last run, if it has not ended."""
        if self.running is not None:
            self.running.kill()
            self.running.wait(10)
            self.running.close()

    def finish(self) -> None:
        """Send what is left in the ledger, and look for what is in doubt at once."""
        done = forked_process.run(self.command("run", "--once"), self.environment, 90.0)
        assert done.returncode == 0, done.stderr

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command."""
        return {**clean_environment(), **CREDENTIALS}

    def client(self, token: str = "") -> "PostClient":
        """Return a client of the intake."""
        return PostClient(self.port, token)


@dataclass
class PostClient:
    """Posts contacts; what is not answered is posted again, as a good client does."""

    port: int
    token: str = ""
    unanswered: int = 0
    """Posts that got no answer: the dispatcher was gone, or went away."""

    def post(self, body: bytes, key: str = "", campaign: str = CAMPAIGN) -> tuple[int, Any, Any]:
        """Post once; return the status, the body as JSON, and the headers."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", f"/campaigns/{campaign}/contacts", body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read()), response.headers
        finally:
            connection.close()

    def deliver(self, rows: Rows, key: str = "") -> dict[str, Any]:
        """Post rows until they are accepted, and return the answer."""
        body, end = json.dumps(rows).encode(), time.monotonic() + LAST_SECONDS
        while time.monotonic() < end:
            try:
                status, answer, _ = self.post(body, key)
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
            else:
                if status == http.HTTPStatus.ACCEPTED:
                    return dict(answer)
                assert status in (429, 503), answer
            time.sleep(WAIT_SECONDS)
        raise AssertionError("the post was not accepted in time")
