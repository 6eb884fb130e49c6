"""``dispatcher rejected export``: the bad rows, as files that can be mended and fed back."""

import csv
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import click

from dispatcher.cli.commands.status import ledger_and_campaign
from dispatcher.cli.config import load_settings
from dispatcher.cli.exit_codes import Exit, say
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.errors import CommandError
from dispatcher.ledgers.read.reader import LedgerReader, ledger_reader
from dispatcher.ledgers.read.rows import StoredRejectedRow
from dispatcher.ledgers.read.status import read_status
from dispatcher.ports import SourceError
from dispatcher.sources.options import Layout
from dispatcher.sources.rows.heading import heading
from dispatcher.sources.rows.line_reader import RAW_LIMIT

COLUMNS = ("out_file", "out_line", "file", "line", "reason", "detail")
JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
_NO_ROWS = frozenset({"header", "unreadable"})
"""Reasons that stand for a whole file, or for its rest."""
_MODE = 0o600
"""Owner only: rows hold messages and addresses."""


@dataclass
class _Out:
    """One file of rows with one header."""

    path: Path
    file: BinaryIO
    lines: int
    rows: int = 0

    def put(self, raw: bytes) -> int:
        """Write a row; return the number of its first line."""
        first = self.lines + 1
        self.file.write(raw + b"\n")
        self.lines += raw.count(b"\n") + 1
        self.rows += 1
        return first


@dataclass
class _Export:
    """Files of rows, one for each header that there is, and what is wrong with the rows."""

    out: Path
    layout: Layout
    given_header: Path | None
    fingerprints: Collection[str]
    headings: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    outs: dict[tuple[bytes, ...], _Out] = field(default_factory=dict)
    reasons: list[tuple[Any, ...]] = field(default_factory=list)
    left: int = 0

    def take(self, row: StoredRejectedRow) -> None:
        """Write a row into the file with its header; one that is not whole only into the list."""
        if row.reason in _NO_ROWS or len(row.raw) >= RAW_LIMIT or not row.raw:
            self.left += 1
            self.reasons.append(("", "", row.file, row.line, row.reason, row.detail))
            return
        out = self._of(self._heading(row))
        line = out.put(row.raw)
        self.reasons.append((out.path.name, line, row.file, row.line, row.reason, row.detail))

    def _heading(self, row: StoredRejectedRow) -> tuple[bytes, ...]:
        if row.file not in self.headings:
            self.headings[row.file] = self._found_heading(row)
        return self.headings[row.file]

    def _found_heading(self, row: StoredRejectedRow) -> tuple[bytes, ...]:
        is_json = row.raw.lstrip().startswith(b"{") and self.layout.format != "csv"
        if self.given_header is not None:
            return () if is_json else heading(str(self.given_header), self.layout)[0]
        try:
            lines, fingerprint = heading(row.file, self.layout)
        except SourceError as error:
            if is_json:
                return ()
            raise SourceError(
                f"{error}. The header of its rows is needed: name a file that has the same one "
                "with --header"
            ) from None
        if fingerprint not in self.fingerprints:
            say(
                f"warning: {row.file} is not the file any more that was read; if its columns have "
                "changed, name a file with the old header with --header"
            )
        return lines

    def _of(self, head: tuple[bytes, ...]) -> _Out:
        if head not in self.outs:
            path = self._path(len(self.outs) + 1, is_json=not head)
            file = _made(path)
            file.writelines(line + b"\n" for line in head)
            self.outs[head] = _Out(path, file, len(head))
        return self.outs[head]

    def _path(self, number: int, *, is_json: bool) -> Path:
        """Name a file so that it is read as what it is."""
        suffix = self.out.suffix
        if is_json != (suffix in JSON_SUFFIXES):
            suffix = ".jsonl" if is_json else ".csv"
        return self.out.with_name(f"{self.out.stem}{f'-{number}' if number > 1 else ''}{suffix}")

    def undo(self) -> None:
        """Take away what was written so far."""
        for out in self.outs.values():
            out.file.close()
            out.path.unlink()

    def finish(self) -> Path:
        """Close the files, and write the list of what is wrong beside the first."""
        for out in self.outs.values():
            out.file.close()
        path = self.out.with_name(f"{self.out.stem}.reasons.csv")
        with _made(path) as file:
            lines = os.fdopen(os.dup(file.fileno()), "w", encoding="utf-8", newline="")
            with lines:
                writer = csv.writer(lines)
                writer.writerow(COLUMNS)
                writer.writerows(self.reasons)
        return path


def export_command(given: Mapping[str, Any]) -> int:
    """Write the rejected rows of a campaign into files; return the exit code."""
    ledger, campaign = ledger_and_campaign(given)
    with ledger_reader(ledger) as connection:
        names = list(find_campaigns(connection, campaign))
    if len(names) != 1:
        raise CommandError(
            f"the ledger holds {len(names)} campaigns: {', '.join(names)}; name one with --campaign"
        )
    (standing,) = read_status(ledger, names[0], now=0.0)
    export = _Export(given["out"], _layout(given), given["header"], standing.positions)
    try:
        with LedgerReader(ledger, names[0]) as reader:
            for row in reader.rejected():
                if given["reason"] in (None, row.reason):
                    export.take(row)
        _tell(export)
    except BaseException:
        export.undo()
        raise
    return Exit.DONE


def _tell(export: _Export) -> None:
    if not export.reasons:
        click.echo("No row was rejected: nothing was written.")
        return
    listed = export.finish()
    for out in export.outs.values():
        click.echo(f"{out.rows:,} rows in {out.path}: mend them, then run with --source {out.path}")
    click.echo(f"What is wrong with each, by its line: {listed}")
    if export.left:
        say(
            f"{export.left:,} are in that list only, since the ledger has not the whole of them: "
            "take them from the source."
        )


def _layout(given: Mapping[str, Any]) -> Layout:
    """Return how the source is laid out, where a configuration tells it."""
    source = load_settings(given, purpose="status").source
    return Layout(source.format, source.delimiter, source.max_record_lines)


def _made(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb")
    except FileExistsError:
        raise CommandError(f"{path} is there already; name another file with --out") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror or error})") from None
