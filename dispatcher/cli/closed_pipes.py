"""Output into a pipe that its reader has closed, such as that of ``head``."""

import os
from typing import TextIO


def drop_output(stream: TextIO) -> None:
    """Let a stream write to nowhere, so that the interpreter can flush it at its end."""
    try:
        target = stream.fileno()
    except (OSError, ValueError):  # a stream without a file, as in tests
        return
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, target)
    os.close(nowhere)
