"""A backup of the ledger: a consistent copy, made while a daemon runs."""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error, translated_errors
from dispatcher.ledgers.lock import MODE
from dispatcher.ledgers.maintenance.integrity import check_integrity
from dispatcher.ledgers.read.reader import snapshot_connection
from dispatcher.ledgers.registration import mark_as_backup
from dispatcher.ports.care import IntegrityFinding, ReportProgress, ignore_progress

PAGES = 2_000
"""Pages that are copied in one step."""
PAUSE_SECONDS = 0.005
"""Pause between two steps, which leaves the disk to others."""


def back_up(
    path: Path, target: Path, *, overwrite: bool = False, report: ReportProgress = ignore_progress
) -> list[IntegrityFinding]:
    """Copy the ledger to ``target``, readable by its owner alone, and check the copy.

    The copy is written under a temporary name beside ``target``, and renamed when it is complete.
    A damaged copy is removed. Other findings are returned, and the copy is kept, because the
    ledger itself has them, too.

    Raises:
        LedgerError: the ledger cannot be read, or the copy cannot be written or exists already.

    """
    _check(path, target, overwrite=overwrite)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _copy(path, part, report)
        findings = [finding for finding in check_integrity(part, quick=True) if finding.count]
        if any(finding.name == "damage" for finding in findings):
            raise ledger_error(path, "its copy is damaged; run `dispatcher ledger verify`")
        os.replace(part, target)  # noqa: PTH105 - the same call as everywhere, and atomic
        _sync(target.parent)
    except OSError as error:
        raise ledger_error(target, f"the backup cannot be written ({error.strerror})") from None
    finally:
        for file in (part, *_beside(part)):
            file.unlink(missing_ok=True)
    return findings


def _check(path: Path, target: Path, *, overwrite: bool) -> None:
    if target.resolve() in {path.resolve(), *_beside(path.resolve())}:
        raise ledger_error(target, "this is the ledger itself; name another file for its backup")
    if target.exists() and not overwrite:
        raise ledger_error(target, "it exists already; name another file, or add --force")
    if any(file.exists() for file in _beside(target)):
        raise ledger_error(
            target, "another program has it open, or left its log; name another file"
        )


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")]


def _copy(path: Path, part: Path, report: ReportProgress) -> None:
    """Copy the pages of one snapshot, so that writes meanwhile do not restart the copy."""
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
    with snapshot_connection(path) as source:
        source.execute("SELECT COUNT(*) FROM campaign").fetchone()  # the snapshot begins here
        with (
            translated_errors(part),
            closing(sqlite3.connect(part, isolation_level=None)) as copy,
        ):
            source.backup(
                copy,
                pages=PAGES,
                progress=lambda _status, remaining, whole: report(whole - remaining, whole),
                sleep=PAUSE_SECONDS,
            )
            mark_as_backup(copy, time.time())
    _sync(part)


def _sync(path: Path) -> None:
    """Make what was written durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system that cannot sync a directory keeps its own order
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
