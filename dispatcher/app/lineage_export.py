"""Exports the lineage to a file, and writes the cursor after the file is on the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dispatcher.app.store import operator_store, pages
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.ports.questions import BEGINNING, LineageRows, Page
from dispatcher.ports.stored_rows import LineageRow
from dispatcher.settings import LedgerPlace
from dispatcher.sinks.lineage_formats import ExportFormat, Written, check_format, write

MODE = 0o600
"""Owner only: the lineage identifies people."""


class OutputError(DispatcherError):
    """The export or its cursor cannot be written or read; the message names the file."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which rows to export, and where to.

    Without ``since`` the export begins at the cursor in the cursor file, or at the first row.
    Without ``out`` it goes to standard output. ``overwrite`` permits to replace an existing file.
    """

    ledger: LedgerPlace
    campaign: str | None
    format: ExportFormat
    since: str | None
    out: Path | None
    cursor_file: Path | None
    overwrite: bool = False


def export(request: ExportRequest, stdout: BinaryIO) -> Written:
    """Export the rows after the cursor; return their number and the next cursor.

    Raises:
        LedgerError: the ledger cannot be read, or there is no such campaign.
        FormatError: the format is Parquet, and its package is not installed.
        OutputError: a file cannot be written, or exists already.

    """
    check_format(request.format)
    since = _first_cursor(request)
    with operator_store(request.ledger) as store:
        written = _write(request, pages(store, LineageRows(request.campaign), since), stdout)
    if request.cursor_file is not None:
        with _replacing(request.cursor_file) as file:
            file.write(f"{written.cursor}\n".encode())
    return written


def _write(request: ExportRequest, found: Iterator[Page[LineageRow]], stdout: BinaryIO) -> Written:
    if request.out is None:
        written = write(request.format, found, stdout)
        stdout.flush()
        return written
    if request.out.exists() and not request.overwrite:
        raise OutputError(
            f"{request.out}: exists already; give each export its own name, or replace "
            "it with --overwrite"
        )
    with _replacing(request.out) as file:
        return write(request.format, found, file)


def _first_cursor(request: ExportRequest) -> str:
    if request.since is not None or request.cursor_file is None:
        return request.since or BEGINNING
    try:
        return _cursor_in(request.cursor_file)
    except FileNotFoundError:
        return BEGINNING
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{request.cursor_file}: contains no cursor ({error}); correct it, or use --since"
        ) from None


def _cursor_in(path: Path) -> str:
    """Return the cursor of a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has something else.

    """
    words = path.read_text("ascii").split()
    if len(words) != 1:
        raise ValueError("one word is needed")
    return words[0]


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside ``path``, and replace ``path`` with it when it is on the disk."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, for its mode
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
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
