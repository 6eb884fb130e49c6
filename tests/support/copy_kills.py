"""Copies of ledgers in processes of their own that kill themselves at a step."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dispatcher.ledgers.copying import copy_ledger, file_copy_ledger
from dispatcher.ledgers.copying.copy import Copier
from dispatcher.ledgers.copying.file_copy_ledger import FileCopyLedger
from dispatcher.ledgers.postgres import server_copy_ledger
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.server_copy_ledger import ServerCopyLedger
from dispatcher.ports.copying import Copied

NOW = 1.8e9
KILLED_LEASE = 0.4
"""Seconds for which a copy that was killed keeps others out."""
STEPS = (
    "target.mark.before",
    "target.mark.after",
    "source.mark.before",
    "source.mark.after",
    "source.prepare.after",
    "target.write.before",
    "target.write.after",
    "target.write.after 2",
    "target.write.after 4",
    "target.write.inside 2",
    "target.write.inside 5",
    "target.finish.before",
    "target.finish.after",
    "source.batches.before 14",
    "source.mark.before 2",
    "source.mark.after 2",
    "target.arrive.before",
    "target.arrive.after",
)
"""Where a copy is killed: which end, which method, and the number of its call.

"inside" is after the rows, and before the mark that is written with them.
"""

Place = Path | PostgresAddress


def open_end(place: Place, *, create: bool) -> Any:
    """Return an end of a copy."""
    if isinstance(place, Path):
        return FileCopyLedger.open(place, create=create, now=NOW, allow_network_filesystem=True)
    return ServerCopyLedger.open(place, create=create, now=NOW)


def copy(source: Place, target: Place) -> Copied:
    """Copy a ledger, or go on with a copy."""
    with (
        closing(open_end(source, create=False)) as old,
        closing(open_end(target, create=True)) as new,
    ):
        return Copier(old, new, now=lambda: NOW).copy()


@contextmanager
def small_batches(rows: int = 3) -> Iterator[None]:
    """Write few rows in a transaction."""
    modules, before = (copy_ledger, file_copy_ledger, server_copy_ledger), copy_ledger.BATCH
    for module in modules:
        module.BATCH = rows  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.BATCH = before  # type: ignore[attr-defined]


def killed_copy(source: Place, target: Place, step: str) -> bool:
    """Copy in another process that kills itself at a step; return whether it came to it."""
    child = os.fork()
    if not child:
        try:
            server_copy_ledger._LEASE_SECONDS = KILLED_LEASE
            _kill_at(step, type(source), type(target))
            copy(source, target)
        except BaseException as error:  # noqa: BLE001 - the process ends here
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def _kill_at(step: str, source: type, target: type) -> None:
    where, _, number = step.partition(" ")
    side, method, when = where.split(".")
    kind = (
        FileCopyLedger
        if issubclass({"source": source, "target": target}[side], Path)
        else ServerCopyLedger
    )
    count = int(number or 1)
    if when == "inside":
        module, name = (
            (file_copy_ledger, "write_move")
            if kind is FileCopyLedger
            else (server_copy_ledger, "write_server_move")
        )
        inner, method, when = name, "write", "before"
        _within(kind, module, inner, count)
        return
    setattr(kind, method, _killing(getattr(kind, method), when, count))


def _within(kind: type, module: Any, inner: str, count: int) -> None:
    """Kill in the transaction of the write with this number, before it writes the mark."""
    calls, write = [0], kind.write  # type: ignore[attr-defined]
    mark = getattr(module, inner)

    def counting(*arguments: Any) -> Any:
        calls[0] += 1
        return write(*arguments)

    def killing(*arguments: Any) -> Any:
        if calls[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return mark(*arguments)

    kind.write = counting  # type: ignore[attr-defined]
    setattr(module, inner, killing)


def _killing(method: Callable[..., Any], when: str, count: int) -> Callable[..., Any]:
    calls = [0]

    def call(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if when == "before" and calls[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(*arguments, **more)
        if calls[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
