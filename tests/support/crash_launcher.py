"""Starts runs that may be killed, one after the other, out of one process."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from tests.support.forked_process import ROOT, clean_environment
from tests.support.scenario_runner import CREDENTIALS
from tests.support.servers.postgres import PASSWORD, PASSWORD_VARIABLE


class Launcher:
    """The process that forks one run after the other."""

    def __init__(self, module: str) -> None:
        pipe = subprocess.PIPE
        secrets = {**CREDENTIALS, PASSWORD_VARIABLE: PASSWORD}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, "--serve"],
            stdin=pipe, stdout=pipe, cwd=ROOT, env={**clean_environment(), **secrets}, bufsize=0,
        )  # fmt: skip
        self.pid = 0

    def start(self, request: Mapping[str, Any]) -> None:
        """Fork a run."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self.pid = self._number()

    def ended(self, seconds: float) -> int | None:
        """Return the exit code of the run, negative for a signal; None if it still runs."""
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        self.pid = 0
        return self._number()

    def kill(self) -> None:
        """End the run from outside."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the launcher, which ends once its run has ended."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait(20)

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def launching(module: str = "tests.support.crashing") -> Iterator[Launcher]:
    """Have a launcher for as long as the block lasts; ``module`` is the program that forks."""
    launcher = Launcher(module)
    try:
        yield launcher
    finally:
        launcher.close()
