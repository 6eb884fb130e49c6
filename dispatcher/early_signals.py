"""SIGTERM before the imports of a command are done; this module imports little for that reason.

The kernel drops signals for which PID 1, as in a container without an init, has no handler. An
image starts the command with SIGTERM blocked, so that it waits until there is one: the interpreter
needs some time before this module.
"""

import os
import signal
import sys
from types import FrameType

_INIT = 1
"""The process id of the first process of a container."""
_early: list[int] = []
"""The signals that no run has taken yet."""


def catch() -> None:
    """Handle SIGTERM from now on: a run takes it when it is ready, other commands end."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if command == "run":
        signal.signal(signal.SIGTERM, _remember)
    elif os.getpid() == _INIT:
        signal.signal(signal.SIGTERM, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def take() -> list[int]:
    """Return the signals that came before, and forget them."""
    taken = _early.copy()
    _early.clear()
    return taken


def _remember(number: int, _frame: FrameType | None) -> None:
    _early.append(number)


def _end(number: int, _frame: FrameType | None) -> None:
    """End as if the signal had ended the process."""
    sys.exit(128 + number)
