"""The file system below a path: its kind, and whether other machines may have it mounted, too."""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error

_FUSE = 0x65735546

NETWORK = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x01021997: "9p",
    _FUSE: "FUSE",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x19830326: "BeeGFS",
    0x73757245: "Coda",
    0x786F4256: "a shared folder of VirtualBox",
    0xBACBACBC: "a shared folder of VMware",
    0x7C7C6673: "a shared folder of Parallels",
}
"""Magic numbers of file systems that are shared (statfs(2) and linux/magic.h), and their names.

EFS is NFS. FUSE is here because sshfs, s3fs, gcsfuse, virtiofs and the bind mounts of Docker
Desktop are FUSE, and its number does not show which of them it is.
"""

UNSTABLE_INODES = frozenset({0x517B, 0xFF534D42, 0xFE534D42, 0x01021997, _FUSE, 0x786F4256})
"""Magic numbers of file systems that may number their files differently after each mount."""

_BUFFER = 512
_MASK = 0xFFFFFFFF
_MNT_LOCAL = 0x1000
"""In ``f_flags`` of macOS: the file system is stored on this machine (sys/mount.h)."""
_DARWIN_FLAGS_OFFSET = 64


def check_local(path: Path) -> None:
    """Raise `LedgerError` if the ledger at ``path`` is, or would be, on a network file system."""
    name = network_file_system(path)
    if name is not None:
        raise ledger_error(
            path,
            f"it is on a network file system ({name}). SQLite's log and the ledger's lock are not "
            "safe there: two machines could both send to the same people, and a lost connection "
            "can damage the file. Set ledger.path to a local disk; or, if only one machine ever "
            "mounts it, set ledger.allow_network_filesystem = true",
        )


def network_file_system(path: Path) -> str | None:
    """Return the name of the network file system that ``path`` is on; None for a local one.

    A file that does not exist is judged by its folder. A kind that cannot be found out is local.
    """
    kind = file_system_kind(path)
    if kind == _FUSE and _is_on_block_device(path):
        return None  # such as NTFS by ntfs-3g
    return None if kind is None else NETWORK.get(kind)


def file_system_kind(path: Path) -> int | None:
    """Return the magic number of the file system; None if the system does not say it.

    On macOS it is that of NFS for every file system that is not on this machine.
    """
    answer = _statfs(_existing(path))
    if answer is None:
        return None
    if sys.platform == "darwin":
        flags = int.from_bytes(answer[_DARWIN_FLAGS_OFFSET : _DARWIN_FLAGS_OFFSET + 4], "little")
        return None if flags & _MNT_LOCAL else 0x6969
    word = ctypes.sizeof(ctypes.c_long)
    return int.from_bytes(answer[:word], sys.byteorder) & _MASK


def _existing(path: Path) -> Path:
    real = path.resolve()
    return real if real.exists() else real.parent


def _is_on_block_device(path: Path) -> bool:
    try:
        return os.major(_existing(path).stat().st_dev) != 0
    except OSError:
        return False


def _statfs(path: Path) -> bytes | None:
    """Return what statfs(2) writes; its first word on Linux is the magic number."""
    library = libc()
    if library is None or not hasattr(library, "statfs"):
        return None
    buffer = ctypes.create_string_buffer(_BUFFER)
    failed = library.statfs(ctypes.c_char_p(os.fsencode(path)), buffer)
    return None if failed else buffer.raw


@cache
def libc() -> ctypes.CDLL | None:
    """Return the C library of this process; None where there is none to call."""
    try:
        return ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):  # TypeError: Windows has no library without a name
        return None
