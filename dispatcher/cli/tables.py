"""Prints tables for people at a terminal, and lines with tabs for programs."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from rich import box
from rich.console import Console
from rich.table import Table


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows: as a table at a terminal, else as lines with tabs under a header."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(_plain(cell) for cell in row))
        return
    _print_table(title, columns, [[_plain(cell) for cell in row] for row in rows])


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table without its empty columns, because a terminal is narrow."""
    used = [column for column in range(len(columns)) if any(row[column] for row in rows)]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in used:
        table.add_column(columns[column], overflow="fold")
    for row in rows:
        table.add_row(*(row[column] for column in used))
    Console(highlight=False, markup=False).print(table)


def new_table(title: str, *columns: str) -> Table:
    """Return an empty table whose last column holds figures."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in columns[:-1]:
        table.add_column(column, overflow="fold")
    table.add_column(columns[-1], justify="right")
    return table


def moment(seconds: float | None) -> str:
    """Return a time (seconds since the epoch) in UTC, to the millisecond; "" for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _plain(cell: object) -> str:
    """Return a cell's text; characters that break a line or control a terminal are escaped."""
    text = "" if cell is None else str(cell)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
