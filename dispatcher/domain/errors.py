"""Errors that a user can act on, and the exit codes of a command."""

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a command can end; ``dispatcher --help`` describes each code."""

    DONE = 0
    BUG = 1
    USAGE = 2
    SOURCE = 3
    LEDGER = 4
    PLATFORM = 5
    DEFERRED = 10
    HALTED = 11
    DRAIN_LIMIT = 12
    PAUSED = 13
    FAILURES = 14
    UNCONFIRMED = 15
    NO_ROWS = 16
    LEASE_LOST = 17
    STOPPED = 130


class DispatcherError(Exception):
    """Base of the errors whose message says what is wrong and what to do.

    A command that fails with one prints the message and ends with ``exit_code``. Any other
    exception is a bug.
    """

    exit_code: ClassVar[ExitCode]


def list_mistakes(mistakes: Sequence[object]) -> str:
    """Return a message that counts mistakes and lists them, one a line."""
    plural = "s" if len(mistakes) > 1 else ""
    return "\n  ".join([f"{len(mistakes)} mistake{plural}:", *map(str, mistakes)])
