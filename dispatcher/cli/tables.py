"""Prints tables for people at a terminal, and lines with tabs for programs."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from rich import box
from rich.table import Table

from dispatcher.cli.consoles import OutputConsole


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows: as lines with tabs under a header, or at a terminal as a table.

    The table leaves out columns that are empty, because a terminal is narrow.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (columns, *cells):
            click.echo("\t".join(row))
        return
    used = [column for column in range(len(columns)) if any(row[column] for row in cells)]
    table = _empty_table(title, *(columns[column] for column in used))
    for row in cells:
        table.add_row(*(row[column] for column in used))
    OutputConsole(highlight=False, markup=False).print(table)


def new_table(title: str, *columns: str) -> Table:
    """Return an empty table whose last column holds figures."""
    table = _empty_table(title, *columns[:-1])
    table.add_column(columns[-1], justify="right")
    return table


def _empty_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def moment(seconds: float | None) -> str:
    """Return a time (seconds since the epoch) in UTC, to the millisecond; "" for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def printable(cell: object) -> str:
    """Return a cell's text; characters that break a line or control a terminal are escaped."""
    text = "" if cell is None else str(cell)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
