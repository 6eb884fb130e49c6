"""A sandbox that the command starts in a process of its own, and its controls."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.forked_process import ROOT, Forked, clean_environment

SCENARIOS = ROOT / "dispatcher" / "data" / "scenarios"
DEMO_SCENARIO = ROOT / "dispatcher" / "data" / "demo" / "scenario.toml"
"""The scenario of ``dispatcher demo``, which is part of the package."""


@dataclass
class SandboxProcess:
    """A running sandbox."""

    process: Forked
    url: str
    control_url: str
    log: Path

    def counts(self) -> dict[str, Any]:
        """Return the sandbox's own counts; its log is complete up to them."""
        return self._call("GET", "/sandbox/counts")

    def post(self, path: str, **body: Any) -> None:
        """Send a command of the control API, such as scopes, down, faults or rate."""
        self._call("POST", f"/sandbox/{path}", body)

    def effects(self) -> list[dict[str, Any]]:
        """Return every message that took effect."""
        self.counts()
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def wait_for_effects(self, number: int, seconds: float = 30.0) -> None:
        """Wait until this number of messages has taken effect."""
        end = time.monotonic() + seconds
        while self.counts()["effects"] < number:
            assert time.monotonic() < end, "too few messages took effect in time"
            time.sleep(0.02)

    def wait_for_answers(self, endpoint: str, number: int, seconds: float = 30.0) -> None:
        """Wait until this number of requests of an endpoint has been answered."""
        end = time.monotonic() + seconds
        while sum(self.counts()["answers"].get(endpoint, {}).values()) < number:
            assert time.monotonic() < end, f"too few requests of {endpoint} in time"
            time.sleep(0.02)

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


@contextmanager
def sandbox(scenario: Path, log: Path, *more: str) -> Iterator[SandboxProcess]:
    """Run a sandbox for as long as the block lasts."""
    command = ["-m", "dispatcher", "sandbox", "--scenario", str(scenario)]
    command += ["--port", "0", "--log", str(log), "--ready-json", *more]
    process = Forked(command, clean_environment())
    try:
        ready = json.loads(process.stdout.readline())
        yield SandboxProcess(process, ready["url"], ready["control_url"], log)
    finally:
        process.terminate()
        process.wait(10)
        process.close()
