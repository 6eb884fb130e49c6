"""A command at a terminal of its own: keys go in, and what is shown comes out as text."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import Self

from tests.support.forked_process import clean_environment

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_])")


class Terminal:
    """Runs ``python -m dispatcher`` at a pseudo-terminal; use it with ``with``."""

    def __init__(
        self, *arguments: str, width: int = 80, height: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._keyboard, self._tty = os.openpty()
        self.resize(width, height, tell=False)
        self.before = termios.tcgetattr(self._tty)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dispatcher", *arguments],
            stdin=self._tty,
            stdout=self._tty,
            stderr=self._tty,
            start_new_session=True,
            env={**clean_environment(), "TERM": "xterm-256color", **(environment or {})},
        )
        self.raw = b""
        self._mark = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._keyboard)
        os.close(self._tty)

    def resize(self, width: int, height: int, *, tell: bool = True) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._tty, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def type(self, keys: str) -> None:
        """Type some keys at once; what is shown counts from now on."""
        self._read(0.0)
        self._mark = len(self.raw)
        os.write(self._keyboard, keys.encode())

    def text(self) -> str:
        """Return what was shown since the last key, without what controls a terminal."""
        return _SEQUENCE.sub("", self.raw[self._mark :].decode(errors="replace"))

    def wait_for(self, words: str, seconds: float = 20.0) -> str:
        """Wait until the words are shown; return what was shown since the last key."""
        end = time.monotonic() + seconds
        while words not in (text := self.text()):
            assert time.monotonic() < end, f"{words!r} was not shown, but:\n{text[-4000:]}"
            self._read(0.1)
        return text

    def wait(self, seconds: float = 20.0) -> int:
        """Wait for the end of the command; return its exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, "the command does not end"
            self._read(0.05)
        self._read(0.0)
        return self.process.returncode

    def is_as_before(self) -> bool:
        """Return whether the terminal has the settings again that it had at first."""
        return termios.tcgetattr(self._tty) == self.before

    def _read(self, seconds: float) -> None:
        while select.select([self._keyboard], [], [], seconds)[0]:
            self.raw += os.read(self._keyboard, 65_536)
            seconds = 0.0
