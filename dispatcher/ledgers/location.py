"""Where a ledger lives, by evidence that a copy of the file does not share.

A volume that is mounted elsewhere has the same files: their numbers (inodes) and the times of
their creation stay. A copy is a new file: it has a creation time of its own. The machine's id is
no evidence by itself: a container has another one after each restart.
"""

import ctypes
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from dispatcher.ledgers.file_system import UNSTABLE_INODES, file_system_kind, libc

_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_VOLUME_IDS = ("dm/uuid", "serial", "device/serial", "device/wwid")
"""Files below a block device in sysfs with an id that a clone of the volume does not share."""

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_SIZE = 256
_MASK_OFFSET, _BTIME_OFFSET = 0, 80  # struct statx, linux/stat.h
_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class LedgerLocation:
    """The machine, the volume and the file of a ledger; a fact that is not known is "".

    ``machine`` is the machine's id and ``host`` its name, ``volume`` the id of the block device,
    ``file_system`` the id of the file system, ``born`` the file's creation in nanoseconds since
    the epoch.
    """

    machine: str
    host: str
    path: str
    volume: str
    file_system: str
    inode: str
    born: str


def find_location(path: Path) -> LedgerLocation:
    """Return where the file at ``path`` is now."""
    real = path.resolve()
    status = real.stat()
    stable = file_system_kind(real) not in UNSTABLE_INODES
    return LedgerLocation(
        machine=_first_text(*map(Path, _MACHINE_IDS)),
        host=socket.gethostname(),
        path=str(real),
        volume=_volume(status.st_dev),
        file_system=str(os.statvfs(real).f_fsid),
        inode=str(status.st_ino) if stable else "",
        born=_born(real, status),
    )


def difference(recorded: LedgerLocation, found: LedgerLocation) -> str | None:
    """Return what shows that ``found`` is not the recorded file; None if it is that file."""
    if _differ(recorded.volume, found.volume):
        return "is on another volume"
    if _differ(recorded.born, found.born):
        return "was created at another time"
    if _differ(recorded.inode, found.inode):
        return "is another file (its inode differs)"
    if _is_snapshot(recorded, found):
        return "is on another file system of the same machine, such as a snapshot"
    if recorded.born and found.born:
        return None
    return _difference_of_place(recorded, found)


def _is_snapshot(recorded: LedgerLocation, found: LedgerLocation) -> bool:
    """Return whether a file that looks the same is a snapshot of the file system beside it.

    A snapshot keeps inodes and creation times. A volume that only moves to another machine has
    either the same path there, or another machine's id.
    """
    same_machine = recorded.machine != "" and recorded.machine == found.machine
    other_place = _differ(recorded.file_system, found.file_system) and recorded.path != found.path
    return same_machine and other_place


def _difference_of_place(recorded: LedgerLocation, found: LedgerLocation) -> str | None:
    """Compare the places where no creation time proves that it is the same file."""
    if recorded.machine == found.machine and recorded.host == found.host:
        return None  # a restart may give a file system another id
    if recorded.inode and found.inode:
        other = recorded.file_system != found.file_system
        return "is on another machine and another file system" if other else None
    return "is on another machine, at another path" if recorded.path != found.path else None


def _differ(recorded: str, found: str) -> bool:
    """Return whether a fact that is known both times has changed."""
    return bool(recorded and found and recorded != found)


def _volume(device: int) -> str:
    """Return the id of the block device, or of the disk that it is a part of."""
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not block.exists():
        return ""
    real = block.resolve()
    text = _first_text(*(folder / name for folder in (real, real.parent) for name in _VOLUME_IDS))
    if text.startswith("CRYPT-"):  # the rest is the name that this machine gave to the mapping
        return "-".join(text.split("-")[:3])
    return text


def _first_text(*files: Path) -> str:
    for file in files:
        try:
            text = file.read_text("ascii", "replace").strip()
        except OSError:
            continue
        if text:
            return text
    return ""


def _born(path: Path, status: os.stat_result) -> str:
    """Return the time of the file's creation; "" where the file system does not keep it."""
    seconds = getattr(status, "st_birthtime", None)
    if seconds is not None:
        return str(round(seconds * _NANOSECONDS))
    library = libc()
    if library is None or not hasattr(library, "statx"):
        return ""
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    name = ctypes.c_char_p(os.fsencode(path))
    if library.statx(_AT_FDCWD, name, 0, _STATX_BTIME, buffer):
        return ""
    (mask,) = struct.unpack_from("=I", buffer, _MASK_OFFSET)
    whole, part = struct.unpack_from("=qI", buffer, _BTIME_OFFSET)
    return str(whole * _NANOSECONDS + part) if mask & _STATX_BTIME else ""
