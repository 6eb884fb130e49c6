"""A copy of the ledger as of one moment, made while a daemon runs."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error, translate_error
from dispatcher.ledgers.lock import MODE
from dispatcher.ledgers.maintenance.batches import ReportProgress, quietly
from dispatcher.ledgers.maintenance.integrity import IntegrityFinding, check_integrity
from dispatcher.ledgers.read.reader import open_for_reading

PAGES = 2_000
"""Pages that are copied at once."""
PAUSE_SECONDS = 0.005
"""How long the copy leaves the disk to others in between."""


def back_up(
    path: Path, target: Path, *, overwrite: bool = False, tell: ReportProgress = quietly
) -> list[IntegrityFinding]:
    """Copy the ledger to ``target``, readable by its owner alone, and verify the copy.

    The copy is made beside ``target`` under another name, and takes its name once it is whole:
    a copy that is damaged is removed. Returned is what was found wrong in the copy; it is kept,
    since the ledger itself has the same.

    Raises:
        LedgerError: the ledger cannot be read, or the copy cannot be written or is there.

    """
    _check(path, target, overwrite=overwrite)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _copy(path, part, tell)
        found = [each for each in check_integrity(part, quick=True) if each.count]
        if any(each.name == "damage" for each in found):
            raise ledger_error(path, "its copy is damaged; run `dispatcher ledger verify`")
        os.replace(part, target)  # noqa: PTH105 - the same call as everywhere, and atomic
        _sync(target.parent)
    except OSError as error:
        raise ledger_error(target, f"the backup cannot be written ({error.strerror})") from None
    finally:
        for name in (part, *_beside(part)):
            name.unlink(missing_ok=True)
    return found


def _check(path: Path, target: Path, *, overwrite: bool) -> None:
    if target.resolve() in {path.resolve(), *_beside(path.resolve())}:
        raise ledger_error(target, "this is the ledger itself; name another file for its backup")
    if target.exists() and not overwrite:
        raise ledger_error(target, "it is there already; name another file, or add --force")
    if any(each.exists() for each in _beside(target)):
        raise ledger_error(
            target, "another program has it open, or left its log; name another file"
        )


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")]


def _copy(path: Path, part: Path, tell: ReportProgress) -> None:
    """Copy page by page out of one snapshot, so that writes meanwhile do not begin it anew."""
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
    with closing(open_for_reading(path)) as source:
        try:
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM campaign").fetchone()
        except sqlite3.Error as error:
            raise translate_error(path, error) from None
        try:
            with closing(sqlite3.connect(part, isolation_level=None)) as copy:
                source.backup(
                    copy,
                    pages=PAGES,
                    progress=lambda _status, left, whole: tell(whole - left, whole),
                    sleep=PAUSE_SECONDS,
                )
        except sqlite3.Error as error:
            raise translate_error(part, error) from None
    _sync(part)


def _sync(path: Path) -> None:
    """Make what was written durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system that cannot sync a directory keeps its own order
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
