"""``dispatcher rejected``: rejected rows as files, and rejected contacts put back into the run."""

import csv
import io
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import click

from dispatcher.app.store import operator_store, pages
from dispatcher.app.wiring import make_layout
from dispatcher.cli.commands.parked import (
    SelectionOptions,
    replay_or_drop,
    selection_options,
    yes_option,
)
from dispatcher.cli.config import LedgerOptions, ledger_options
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.formatting import plural
from dispatcher.cli.options import FILE, debug_option
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.status import Status
from dispatcher.ports import CommandError, OperatorStore, SourceError
from dispatcher.ports.questions import CampaignStatus, RejectedRows, StatusOf
from dispatcher.ports.stored_rows import StoredRejectedRow
from dispatcher.sources.options import Layout
from dispatcher.sources.rows.csv_header import read_header_lines
from dispatcher.sources.rows.line_reader import RAW_LIMIT

COLUMNS = ("out_file", "out_line", "file", "line", "reason", "detail")
JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
_NO_ROWS = frozenset({"header", "unreadable", "format", "lost", "tombstone"})
"""Reasons that concern a whole file, or the rest of it."""
_MODE = 0o600
"""Owner only: rows contain messages and addresses."""


@click.group()
def rejected() -> None:
    """Export the rows that could not become contacts, or replay contacts that were refused."""


@rejected.command(epilog=EPILOG, short_help="Write the rejected rows to a file, to be corrected.")
@click.option(
    "--out", type=FILE, required=True,
    help="The file to write. A second file in the same folder has the reason of each row.",
)  # fmt: skip
@click.option("--reason", help="Only rows rejected for this reason, such as bad_id.")
@click.option(
    "--header", type=FILE,
    help="A file with the header of the rows, if the source does not exist any more.",
)  # fmt: skip
@ledger_options
@debug_option
def export(options: LedgerOptions, *, out: Path, reason: str | None, header: Path | None) -> int:
    """Write the rejected rows as they were in the source, under its header.

    Correct them and use the file as a source: rows that are already in the campaign are recognised
    by their keys. The files have the data of the source, so only this user can read them.

    \b
    Examples:
      dispatcher rejected export --out bad.csv
      dispatcher run --source bad.csv --once
    """
    ledger, campaign = options.ledger_and_campaign()
    with operator_store(ledger) as store:
        only = _only_campaign(store, campaign)
        files = _RowFiles(out, make_layout(options.load_settings()), header, only.streams)
        _export(store, only.campaign, files, reason)
    return ExitCode.DONE


def _only_campaign(store: OperatorStore, campaign: str | None) -> CampaignStatus:
    """Return the campaign that is named, or the only one.

    Raises:
        CommandError: there are several, or there is no such campaign.

    """
    statuses = store.look(StatusOf(campaign, now=0.0))
    names = [status.campaign for status in statuses]
    if len(names) != 1:
        raise CommandError(
            f"the ledger holds {len(names)} campaigns: {', '.join(names)}; name one with --campaign"
        )
    return statuses[0]


def _export(store: OperatorStore, campaign: str, files: "_RowFiles", reason: str | None) -> None:
    """Write the rejected rows into the files; remove the files if that fails."""
    try:
        for page in pages(store, RejectedRows(campaign)):
            for row in page.rows:
                if reason in (None, row.reason):
                    files.write(row)
        _finish(files)
    except BaseException:
        files.remove()
        raise


@rejected.command(epilog=EPILOG, short_help="Put refused contacts back.")
@selection_options(limit=None)
@ledger_options
@debug_option
@yes_option
def replay(
    selected: SelectionOptions, options: LedgerOptions, *, limit: int | None, yes: bool
) -> int:
    """Put rejected contacts back: they are due immediately, as if they were new.

    Use it after the cause is corrected, for example a wrong sender. The messages are those that
    were read from the source. For rows that could not become contacts see rejected export. A
    running dispatcher makes the change and sends to them; if none is running, the next run sends to
    them.

    \b
    Examples:
      dispatcher rejected replay --reason refused --limit 1 --yes
      dispatcher rejected replay --reason conversation_gone --yes
    """
    ledger, campaign = options.ledger_and_campaign()
    selection = selected.selection(campaign, limit, Status.REJECTED)
    return replay_or_drop("replay", ledger, selection, yes=yes)


@dataclass
class _OutputFile:
    """One file of rows with one header."""

    path: Path
    file: BinaryIO
    lines: int
    rows: int = 0

    def append(self, raw: bytes) -> int:
        """Write a row; return the number of its first line."""
        first = self.lines + 1
        self.file.write(raw + b"\n")
        self.lines += raw.count(b"\n") + 1
        self.rows += 1
        return first


@dataclass
class _RowFiles:
    """Files of rows, one for each header, and the list of what is wrong with the rows."""

    out: Path
    layout: Layout
    header_file: Path | None
    fingerprints: Collection[str]
    headings: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    files: dict[tuple[bytes, ...], _OutputFile] = field(default_factory=dict)
    reasons: list[tuple[Any, ...]] = field(default_factory=list)
    incomplete: int = 0

    def write(self, row: StoredRejectedRow) -> None:
        """Write a row into the file with its header; an incomplete row only into the list."""
        if row.reason in _NO_ROWS or len(row.raw) >= RAW_LIMIT or not row.raw:
            self.incomplete += 1
            self.reasons.append(("", "", row.file, row.line, row.reason, row.detail))
            return
        out = self._file_for(self._heading(row))
        line = out.append(row.raw)
        self.reasons.append((out.path.name, line, row.file, row.line, row.reason, row.detail))

    def _heading(self, row: StoredRejectedRow) -> tuple[bytes, ...]:
        if row.file not in self.headings:
            self.headings[row.file] = self._read_heading(row)
        return self.headings[row.file]

    def _read_heading(self, row: StoredRejectedRow) -> tuple[bytes, ...]:
        is_json = row.raw.lstrip().startswith(b"{") and self.layout.format != "csv"
        if self.header_file is not None:
            return () if is_json else read_header_lines(str(self.header_file), self.layout)[0]
        try:
            lines, fingerprint = read_header_lines(row.file, self.layout)
        except SourceError as error:
            if is_json:
                return ()
            raise SourceError(
                f"{error}. The header of its rows is needed: name a file that has the same "
                "header with --header"
            ) from None
        if fingerprint not in self.fingerprints:
            say(
                f"warning: {row.file} has changed since it was read; if its columns are not the "
                "same, name a file with the old header with --header"
            )
        return lines

    def _file_for(self, head: tuple[bytes, ...]) -> _OutputFile:
        if head not in self.files:
            path = self._path(len(self.files) + 1, is_json=not head)
            file = _create(path)
            file.writelines(line + b"\n" for line in head)
            self.files[head] = _OutputFile(path, file, len(head))
        return self.files[head]

    def _path(self, number: int, *, is_json: bool) -> Path:
        """Return a file's path, with the suffix of its format."""
        suffix = self.out.suffix
        if is_json != (suffix in JSON_SUFFIXES):
            suffix = ".jsonl" if is_json else ".csv"
        return self.out.with_name(f"{self.out.stem}{f'-{number}' if number > 1 else ''}{suffix}")

    def remove(self) -> None:
        """Remove the files that were written so far."""
        for out in self.files.values():
            out.file.close()
            out.path.unlink()

    def close(self) -> Path:
        """Close the files, and write the list of what is wrong beside the first one."""
        for out in self.files.values():
            out.file.close()
        path = self.out.with_name(f"{self.out.stem}.reasons.csv")
        with _create(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as lines:
            writer = csv.writer(lines)
            writer.writerow(COLUMNS)
            writer.writerows(self.reasons)
        return path


def _finish(export: _RowFiles) -> None:
    if not export.reasons:
        click.echo("No row was rejected: nothing was written.")
        return
    reasons = export.close()
    for file in export.files.values():
        click.echo(
            f"{plural(file.rows, 'row')} in {file.path}: correct the file, "
            f"then run with --source {file.path}"
        )
    click.echo(f"What is wrong with each row, by its line: {reasons}")
    if export.incomplete:
        say(
            f"{export.incomplete:,} are in that list only, because the ledger does not have the "
            "complete rows: take them from the source."
        )


def _create(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb")
    except FileExistsError:
        raise CommandError(f"{path} exists already; name another file with --out") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror or error})") from None
