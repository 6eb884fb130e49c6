"""The running dispatcher's own Unix socket: questions and orders of the person who runs it.

``GET /status`` and ``POST /<order>``, small JSON both ways, over HTTP. Only the user who runs the
dispatcher can open the socket.
"""

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.ports import LedgerError

MODE = 0o600
"""Owner only: whoever can write to the socket can steer the run."""

LONGEST_PATH = 107
"""Bytes that the path of a Unix socket may have (sun_path, less its end)."""

_LARGEST_ORDER = 1 << 20
_BAD, _REFUSED, _BROKEN = 400, 409, 500

CommandFunction = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, object]]]
"""Carries an order out, given as plain values, and tells what came of it.

A `ValueError` says what is wrong with the order; then nothing was done.
"""


class ControlAddressError(DispatcherError, OSError):
    """The control socket cannot be made; the message names it and the setting."""

    exit_code = ExitCode.USAGE


class ControlServer:
    """Serves orders on a Unix socket for as long as the run lasts.

    It is to be started only while the ledger's lock is held: that proves that whatever is at
    the socket's place belongs to nobody any more.
    """

    def __init__(self, path: Path, orders: Mapping[str, CommandFunction]) -> None:
        self._path = path
        self._orders = orders
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            ControlAddressError: the socket cannot be made.

        """
        listening = _listening(self._path)
        app = web.Application(client_max_size=_LARGEST_ORDER)
        app.router.add_get("/{order}", self._answer)
        app.router.add_post("/{order}", self._answer)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening and take the socket away; calling it again does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            self._path.unlink(missing_ok=True)

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.match_info["order"]
        order = self._orders.get(name)
        if order is None:
            return _error(web.HTTPNotFound.status_code, f"no such order: {name[:40]!r}")
        try:
            given = orjson.loads(await request.read() or b"{}")
        except orjson.JSONDecodeError:
            return _error(_BAD, "the order is not JSON")
        if not isinstance(given, dict):
            return _error(_BAD, "the order is not a JSON object")
        return await _carried_out(order, given)


async def _carried_out(order: CommandFunction, given: Mapping[str, Any]) -> web.Response:
    try:
        return _json(web.HTTPOk.status_code, await order(given))
    except ValueError as error:
        return _error(_BAD, str(error))
    except LedgerError as error:
        return _error(_REFUSED, str(error))
    except Exception as error:  # noqa: BLE001 - a bug here must not end the run
        return _error(_BROKEN, f"a bug: {type(error).__name__}: {error}")


def place(ledger: Path, wanted: str) -> Path:
    """Return where the control socket is to be: as set, else beside the ledger.

    A place beside the ledger whose path is too long for a socket is exchanged for one in a
    directory of this user's own; the ledger's lock file names it.

    Raises:
        ControlAddressError: the path that was set is too long.

    """
    if wanted:
        path = Path(wanted).absolute()
        if _fits(path):
            return path
        raise ControlAddressError(
            f"control socket {path}: {len(os.fsencode(path))} bytes, and the path of a Unix "
            f"socket may have {LONGEST_PATH}; set control.socket to a shorter one"
        )
    real = ledger.resolve()
    path = real.with_name(real.name + ".sock")
    return path if _fits(path) else _elsewhere(path)


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_PATH


def _elsewhere(path: Path) -> Path:
    """Return a short path in a directory that nobody else can write to."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime or tempfile.gettempdir()) / f"dispatcher-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ControlAddressError(
            f"control socket: {folder} belongs to another user or lets others in; remove it, or "
            "set control.socket to a short path"
        )
    short = folder / (hashlib.sha256(os.fsencode(path)).hexdigest()[:16] + ".sock")
    if _fits(short):
        return short
    raise ControlAddressError(
        f"control socket: neither {path} nor {short} is short enough for a Unix socket "
        f"({LONGEST_PATH} bytes); set control.socket to a shorter path"
    )


def _listening(path: Path) -> socket.socket:
    """Make the socket; nobody can connect before it has its mode."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _take_away(path)
        listening.bind(os.fsencode(path))
        path.chmod(MODE)
        listening.listen(16)
        listening.settimeout(0)
    except OSError as error:
        listening.close()
        raise ControlAddressError(
            f"control socket {path}: it cannot be made ({error.strerror or error}); set "
            "control.socket to a place where this user may write"
        ) from None
    return listening


def _take_away(path: Path) -> None:
    """Remove the socket that a dispatcher left behind when it died, and nothing else."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        if asking.connect_ex(os.fsencode(path)) == 0:
            raise ControlAddressError(
                0, "another dispatcher listens there; each needs a socket of its own"
            )
    path.unlink()


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    data = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)  # enums that are text are keys, too
    return web.Response(status=status, body=data, content_type="application/json")


def _error(status: int, words: str) -> web.Response:
    return _json(status, {"error": words})
