"""The size of a ledger's file, and what is free on its disk."""

import os
from contextlib import suppress
from pathlib import Path


def file_size(path: Path) -> int:
    """Return the bytes of the file and of its write-ahead log."""
    size = 0
    for part in (path, path.with_name(path.name + "-wal")):
        with suppress(OSError):
            size += part.stat().st_size
    return size


def free_bytes(path: Path) -> int:
    """Return the bytes that this user may still write to the disk of the file; 0 if not known."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize
