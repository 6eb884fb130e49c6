"""Temporary files of tests in memory, where a new database takes a tenth of the time."""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY, MEMORY_BYTES = Path("/dev/shm"), 6 << 30
"""A file system in memory, and how much of it must be free; the suite takes less than 2 GB."""


def use_memory() -> None:
    """Let temporary files of this process and of its children be in memory.

    They stay on the disk where ``TMPDIR`` is set, or where there is not enough memory.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir():
        return
    if shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
