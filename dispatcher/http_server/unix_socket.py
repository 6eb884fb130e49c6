"""Path and permissions of a Unix socket that only its user can open."""

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dispatcher.domain.errors import DispatcherError, ExitCode

MODE = 0o600
"""Owner only: a process that can write to the socket controls the run."""

OFF = "off"
"""The value of ``control.socket`` for a run without a control socket."""

LONGEST_PATH = 107
"""Bytes that the path of a Unix socket may have (sun_path, without its final zero)."""


class ControlAddressError(DispatcherError, OSError):
    """The control socket cannot be made; the message names it and the setting."""

    exit_code = ExitCode.USAGE


class UnusablePathError(ControlAddressError):
    """No socket can be made at this path; ``why`` is the system's reason."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"control socket {path}: it cannot be made ({why}); set control.socket to a path where "
            f'this user may make a socket, or to "{OFF}" for none'
        )
        self.why = why


@dataclass(frozen=True, slots=True)
class ControlSocket:
    """A socket that listens at ``path``.

    ``moved`` says why it is not beside the ledger, where it is by default; empty if it is.
    """

    path: Path
    listening: socket.socket
    moved: str = ""


def open_socket(ledger: Path, configured: str) -> ControlSocket:
    """Listen at the configured path; without one beside the ledger, else in a runtime directory.

    The socket beside the ledger may be impossible: a bind mount of Docker Desktop, SMB and 9p hold
    no sockets. The runtime directory is a private one of this user, below ``XDG_RUNTIME_DIR`` or
    the directory for temporary files.

    Raises:
        ControlAddressError: the configured path is too long, or no socket can be made.

    """
    path = socket_path(ledger, configured)
    try:
        return ControlSocket(path, listen(path))
    except UnusablePathError as error:
        private = _private_path(path)
        if configured or private == path:
            raise
        return ControlSocket(private, listen(private), f"{path} cannot be made: {error.why}")


def open_private_socket(name: str) -> ControlSocket:
    """Listen in a private directory of this user, at a path that follows from ``name``.

    Raises:
        ControlAddressError: no socket can be made there.

    """
    path = _private_path(Path(name))
    return ControlSocket(path, listen(path))


def private_sockets() -> Iterator[Path]:
    """Yield the sockets in the private directory of this user; some may have no listener."""
    with suppress(ControlAddressError):
        yield from sorted(_private_path(Path()).parent.glob("*.sock"))


def socket_path(ledger: Path, configured: str) -> Path:
    """Return the path of the control socket: the configured one, else one beside the ledger.

    A path beside the ledger that is too long for a socket is replaced by a short one in a private
    directory of this user.

    Raises:
        ControlAddressError: the configured path is too long, or there is no private directory.

    """
    if configured:
        path = Path(configured).absolute()
        if _fits(path):
            return path
        raise ControlAddressError(
            f"control socket {path}: {len(os.fsencode(path))} bytes, and the path of a Unix "
            f"socket may have {LONGEST_PATH}; set control.socket to a shorter one"
        )
    beside = _beside(ledger)
    return beside if _fits(beside) else _private_path(beside)


def _beside(ledger: Path) -> Path:
    real = ledger.resolve()
    return real.with_name(real.name + ".sock")


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_PATH


def _private_path(path: Path) -> Path:
    """Return a short path in a directory that only this user can write to."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = runtime if os.path.isdir(runtime) else tempfile.gettempdir()  # noqa: PTH112 - "" is none
    folder = Path(parent) / f"dispatcher-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise UnusablePathError(folder, error.strerror or str(error)) from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ControlAddressError(
            f"control socket: {folder} belongs to another user or is open to others; remove it, or "
            "set control.socket to a short path"
        )
    short = folder / (hashlib.sha256(os.fsencode(path)).hexdigest()[:16] + ".sock")
    if _fits(short):
        return short
    raise ControlAddressError(
        f"control socket: neither {path} nor {short} is short enough for a Unix socket "
        f"({LONGEST_PATH} bytes); set control.socket to a shorter path"
    )


def listen(path: Path) -> socket.socket:
    """Return a socket that listens at ``path``, made for its user alone.

    Raises:
        UnusablePathError: no socket can be made there.
        ControlAddressError: another dispatcher listens there.

    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        before = os.umask(0o777 & ~MODE)
        try:
            listening.bind(os.fsencode(path))
        finally:
            os.umask(before)
        listening.listen(16)
        listening.settimeout(0)
    except OSError as error:
        listening.close()
        if isinstance(error, ControlAddressError):
            raise
        raise UnusablePathError(path, error.strerror or str(error)) from None
    return listening


def _remove_stale(path: Path) -> None:
    """Remove a socket without a listener, which a killed dispatcher leaves; nothing else."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        if client.connect_ex(os.fsencode(path)) == 0:
            raise ControlAddressError(
                f"control socket {path}: another dispatcher listens there; every dispatcher needs "
                "its own: set control.socket to another path"
            )
    path.unlink()
