"""An export to its end: written, synced, put in place; only then does the cursor move on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dispatcher.app.lineage_formats import Format, Written, check_format, write
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.ledgers.read.reader import lineage_rows

MODE = 0o600
"""Owner only: the lineage names people."""


class OutputError(DispatcherError):
    """The export or its cursor cannot be written or read; the message names the file."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What a command line asks to be exported.

    Without ``since`` the cursor file tells where to begin, or it is at the beginning. Without
    ``out`` it goes to standard output; a file that is there is replaced with ``overwrite`` only.
    """

    ledger: Path
    campaign: str | None
    format: Format
    since: int | None
    out: Path | None
    cursor_file: Path | None
    overwrite: bool = False


def export(asked: ExportRequest, stdout: BinaryIO) -> Written:
    """Export the rows after the cursor; return how many, and the next cursor.

    Raises:
        LedgerError: the ledger cannot be read, or there is no such campaign.
        FormatError: Parquet is asked for, and what writes it is not installed.
        OutputError: a file cannot be written, or is there already.

    """
    check_format(asked.format)
    since = _begin(asked)
    rows = lineage_rows(asked.ledger, asked.campaign, since)
    if asked.out is None:
        written = write(asked.format, rows, stdout, since)
        stdout.flush()
    else:
        if asked.out.exists() and not asked.overwrite:
            raise OutputError(
                f"{asked.out}: is there already; give each export a name of its own, or replace "
                "it with --overwrite"
            )
        with _replacing(asked.out) as file:
            written = write(asked.format, rows, file, since)
    if asked.cursor_file is not None:
        with _replacing(asked.cursor_file) as file:
            file.write(f"{written.cursor}\n".encode())
    return written


def _begin(asked: ExportRequest) -> int:
    if asked.since is not None or asked.cursor_file is None:
        return asked.since or 0
    try:
        return int(asked.cursor_file.read_text("ascii"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{asked.cursor_file}: holds no cursor ({error}); mend it, or say --since"
        ) from None


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside ``path`` that takes its place once it is complete and on the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, for its mode
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
