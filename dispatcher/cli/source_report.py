"""Prints what `dispatcher check --source` found in a source."""

from collections.abc import Iterator, Mapping

from rich.console import Console

from dispatcher.app.source_check import SourceReport
from dispatcher.cli.tables import new_table

Line = tuple[str, str, int]
"""What was found, the reason or the name, and the number."""

SHOWN_FILES = 20
"""Files that are not read, or not to their end, of which the report says why."""

MEANINGS = {
    "null_marker": "null markers, such as NULL",
    "repeated_header": "repeated headers, skipped",
    "byte_order_mark": "byte order marks within the file, skipped",
    "missing_cells": "rows with fewer cells than the header",
    "extra_cells": "rows with more, empty cells than the header",
}


def show_source(console: Console, campaign: str, report: SourceReport) -> None:
    """Print the report as a table."""
    table = new_table(f"Source of campaign {campaign}, from its beginning", "found", "", "number")
    for found, name, number in lines(report):
        table.add_row(found, name, f"{number:,}")
    table.add_section()
    table.add_row("all rows", "", f"{report.rows:,}", style="bold")
    console.print(table)
    for sentence in report.unread[:SHOWN_FILES]:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def lines(report: SourceReport) -> Iterator[Line]:
    """Yield the lines of the report; names of columns and zones are in it, but no other cell."""
    yield "new contact", "", report.contacts
    yield "duplicate", "key in an earlier row or in the ledger", report.duplicates
    yield from _counted("rejected row", report.rejected)
    yield "filtered", "not selected by source.filter", report.filtered
    if report.listed is not None:
        yield "opt-out list", "values", report.listed
        yield "opt-out list", "contacts that it matches", report.suppressed
    if report.opted_out:
        yield "of the contacts", "left out by an opt-out or consent column", report.opted_out
    if report.expired:
        yield "of the contacts", "expired already", report.expired
    if report.same_person:
        yield "of the contacts", "person in an earlier row, or reached before", report.same_person
    if report.without_person:
        yield "of the contacts", "without external contact id", report.without_person
    kinds = {MEANINGS[kind]: number for kind, number in report.irregularities.items()}
    yield from _counted("irregular", kinds)
    yield from _counted("not UTF-8", report.encodings)
    yield from _counted("time zone", report.zones)
    if report.unknown_zones:
        yield "time zone", "not a time zone", report.unknown_zones
    yield from _counted("column not used", report.unused)


def _counted(found: str, counts: Mapping[str, int]) -> Iterator[Line]:
    for name, number in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        yield found, name, number
