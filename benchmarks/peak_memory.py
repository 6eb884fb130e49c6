"""The most memory that a measured process has had."""

import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_rss_mb() -> float:
    """Return the peak RSS of this process in MB (2**20 bytes).

    Linux has it in ``/proc``. There `resource.getrusage` also counts what the process had as a copy
    of the one that started it, before the command was executed.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
