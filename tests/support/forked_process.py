"""The command line in processes of their own that are forked, not started.

Most of a start is imports. One process has made them, and forks each command; what it forks is the
command as it is installed, with arguments, environment, standard streams and signals of its own.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import dispatcher
from dispatcher.platforms.http import tls_context

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "from dispatcher.cli import main\nmain()"
SLOW = (
    "aiokafka.admin",
    "boto3",
    "psycopg",
    "pyarrow.parquet",
    "snowflake.connector",
    "sqlalchemy",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
)
"""What commands import themselves, and slowly; it is imported once where the tests use it, too."""
LONG_SECONDS = 86_400.0
"""A time without a limit; a selector takes no longer one than some weeks."""
IMPORT_SECONDS = 60.0


def clean_environment() -> dict[str, str]:
    """The environment without anything that would steer the dispatcher or its metrics."""
    steering = ("DD_", "DATADOG_", "DISPATCHER_", "OTEL_", "VAULT_", "AWS_")
    return {key: value for key, value in os.environ.items() if not key.startswith(steering)}


class Forked:
    """A command that runs: what a test uses of ``subprocess.Popen``, with texts."""

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], typed: str = "", terminal: int = -1
    ) -> None:
        """Fork it; ``arguments`` are what would follow ``python``: ``-m dispatcher ...``.

        Its standard error may be a ``terminal``; then nothing comes in ``stderr``.
        """
        self.args = list(arguments)
        (out, its_out), (err, its_err), (report, its_report) = os.pipe(), os.pipe(), os.pipe()
        its_in, keyboard = os.pipe()
        os.write(keyboard, typed.encode())
        os.close(keyboard)
        shown = terminal if terminal >= 0 else its_err
        streams = (its_in, its_out, shown, its_report)
        request = {"arguments": self.args, "env": dict(env), "imported": _slow_ones()}
        _forker().fork(request, streams)
        for number in (its_in, its_out, its_err, its_report):
            os.close(number)
        self.stdout = os.fdopen(out, encoding="utf-8")
        self.stderr = os.fdopen(err, encoding="utf-8")
        self._output: dict[object, bytes] = {self.stdout: b"", self.stderr: b""}
        self._report = os.fdopen(report, "rb", buffering=0)
        self.pid = int(self._report.readline() or b"0")
        assert self.pid, "the process that forks is gone"
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._report.readline())
            self._report.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it says until its end, and return that of both streams."""
        end = time.monotonic() + (LONG_SECONDS if timeout is None else timeout)
        with selectors.DefaultSelector() as waiting:
            for stream in self._output:
                if not stream.closed:
                    waiting.register(stream, selectors.EVENT_READ)
            while waiting.get_map():
                ready = waiting.select(max(end - time.monotonic(), 0))
                if not ready:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for key, _ in ready:
                    got = os.read(key.fd, 65536)
                    self._output[key.fileobj] += got
                    if not got:
                        waiting.unregister(key.fileobj)
                        key.fileobj.close()
        self.wait(max(end - time.monotonic(), 1))
        out, err = (said.decode() for said in self._output.values())
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Read no more of what it says."""
        self.stdout.close()
        self.stderr.close()


def run(
    arguments: Sequence[str], env: Mapping[str, str], timeout: float = 60.0, typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; one that does not end in time is killed.

    Raises:
        AssertionError: it did not end in time.

    """
    process = Forked(arguments, env, typed)
    try:
        out, err = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the command did not end:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


class _Forker:
    """The process that forks; it ends with the one that started it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forked_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], cwd=ROOT, env=clean_environment(),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip

    def fork(self, request: Mapping[str, object], streams: Sequence[int]) -> None:
        """Have a command forked with these streams; the last one is for its pid and exit code."""
        body = json.dumps(request).encode()
        with self._lock:
            socket.send_fds(self._ours, [len(body).to_bytes(4, "big")], list(streams))
            self._ours.sendall(body)

    def close(self) -> None:
        """End it."""
        self._ours.close()
        self._process.wait(20)


def _slow_ones() -> list[str]:
    return [name for name in SLOW if name in sys.modules]


_started: list[_Forker] = []
_starting = threading.Lock()


def _forker() -> _Forker:
    with _starting:
        if not _started:
            _started.append(_Forker())
            atexit.register(_started[0].close)
        return _started[0]


def _serve(number: int) -> None:
    """Fork a command for each request until the requests end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in pkgutil.walk_packages(dispatcher.__path__, "dispatcher."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    tls_context(None)  # to read the certificates takes a third of a short run
    gc.freeze()
    with socket.socket(fileno=number) as requests:
        while request := _next(requests):
            body, streams = json.loads(request[0]), request[1]
            if new := [name for name in body["imported"] if name not in sys.modules]:
                for name in new:
                    importlib.import_module(name)
                _wait_for_threads()
                gc.freeze()
            if os.fork() == 0:
                requests.close()
                _watch(body, streams)
            for stream in streams:
                os.close(stream)


def _wait_for_threads() -> None:
    """Wait for the threads of imports, such as those of Snowflake's connector.

    A fork takes none of them along, and what one of them imports is then locked for ever.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(IMPORT_SECONDS)


def _next(requests: socket.socket) -> tuple[bytes, list[int]] | None:
    """Return the next request with its streams; None at the end."""
    size, streams, _, _ = socket.recv_fds(requests, 4, 4)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    body, whole = b"", int.from_bytes(size, "big")
    while len(body) < whole:
        more = requests.recv(whole - len(body))
        if not more:
            return None
        body += more
    return (body, streams) if size else None


def _watch(request: dict, streams: Sequence[int]) -> None:
    """Fork the command, and report its pid and its exit code."""
    report = streams[3]
    pid = os.fork()
    if pid == 0:
        os.close(report)
        _become(request, streams[:3])
    for stream in streams[:3]:
        os.close(stream)
    os.write(report, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: dict, streams: Sequence[int]) -> None:
    """Be the command, in the place of what an interpreter would have started."""
    for stream, target in zip(streams, (0, 1, 2), strict=True):
        os.dup2(stream, target)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    kind, program, *arguments = request["arguments"]
    sys.argv = ["dispatcher" if kind == "-m" else "-c", *arguments]
    code: int | str | None = 1
    try:
        exec(COMMAND if kind == "-m" else program, {"__name__": "__main__"})
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 - shown as the interpreter shows it
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
