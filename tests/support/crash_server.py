"""Forks one process that may be killed for each line of JSON on standard input.

That saves the time that imports take. `crash_launcher.Launcher` is its client.
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from dispatcher.platforms.http import tls_context

Start = Callable[[dict[str, Any]], None]
"""Does in the new process what a request says."""


def serve(start: Start, modules: Sequence[str]) -> None:
    """Answer each request with a pid, and with the status of the process once it ended.

    ``modules`` are imported once, before the forks.
    """
    tls_context(None)  # to read the certificates takes a third of a short run
    for name in modules:
        import_module(name)
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(start, request)
        _report(pid)
        _, status = os.waitpid(pid, 0)
        _report(os.waitstatus_to_exitcode(status))


def _report(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _child(start: Start, request: dict[str, Any]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    code: int | str | None = 1
    try:
        start(request)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)
