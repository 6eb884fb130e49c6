"""Checks a source: the columns of its files, and what a run would meet in all of its rows."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from dispatcher.app.sources import make_source
from dispatcher.app.store import open_dry_run_view
from dispatcher.app.suppression import compare_list, id_columns, read_list
from dispatcher.app.wiring import make_row_rules, opt_out_columns
from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.status import Irregularity
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.readonly.dry_run import LedgerView
from dispatcher.engine.time_zones import find_zone
from dispatcher.ports import Batch
from dispatcher.settings import Settings
from dispatcher.sources.files.file_source import FileSource
from dispatcher.sources.files.folder_source import FolderSource
from dispatcher.sources.rows.column_names import ColumnNames
from dispatcher.sources.suppression.fit import Comparison

WHOLE_FILE = frozenset({"unreadable", "format", "header", "changed"})
"""The reasons that concern a file, or the rest of it."""

IsSuppressed = Callable[[Contact], bool]
"""Returns True if a contact is on the campaign's opt-out list."""


@dataclass(frozen=True, slots=True)
class CheckedSuppressionList:
    """The campaign's opt-out list: how many values it has, and whom it matches.

    ``comparison`` shows whether a run would start with it.
    """

    values: int
    is_suppressed: IsSuppressed
    comparison: Comparison


@dataclass(slots=True)
class SourceReport:
    """What a run would meet in a source that is read from its beginning.

    ``contacts`` are those that a run would admit now, ``duplicates`` rows whose key is in the
    ledger or in an earlier row. ``same_person`` are contacts whose person is in an earlier row or
    has the campaign's message. ``unused`` are columns of contacts that neither have a meaning nor
    are used by a template or a rule, with the number of cells. ``zones`` are time zones,
    ``unknown_zones`` cells that are none. ``encodings`` are the probable ones of rows that are not
    UTF-8. ``listed`` is the number of values of the opt-out list, None if there is none, and
    ``suppressed`` how many contacts it matches; ``opted_out`` how many have an opt-out, or no
    consent, in a column of their own. ``list_problem`` is why a run does not start with the list,
    empty if it does. ``unread`` are sentences on files that are not read, or not to their end.
    ``is_begun`` is true if the ledger has contacts of the campaign.
    """

    rows: int = 0
    contacts: int = 0
    duplicates: int = 0
    filtered: int = 0
    expired: int = 0
    same_person: int = 0
    without_person: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    irregularities: Counter[Irregularity] = field(default_factory=Counter)
    zones: Counter[str] = field(default_factory=Counter)
    unknown_zones: int = 0
    encodings: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    listed: int | None = None
    suppressed: int = 0
    opted_out: int = 0
    list_problem: str = ""
    unread: list[str] = field(default_factory=list)
    is_begun: bool = False


def column_problems(settings: Settings) -> list[str]:
    """Return what is wrong with the columns of the files of all campaigns.

    Streams are left out, since they can be read only once.

    Raises:
        SourceError: no file exists.

    """
    sources = [
        make_source(settings.only(one), once=True, patient=False) for one in settings.campaigns
    ]
    files = [source for source in sources if isinstance(source, FileSource | FolderSource)]
    return [problem for source in files for problem in source.column_problems({})]


def check_source(settings: Settings) -> SourceReport:
    """Read the source of one campaign to its end, and report what a run would meet.

    Nothing is sent, and nothing is written.

    Raises:
        SourceError: the source cannot be read, or its columns are not as the settings need them.
        LedgerError: the ledger is there and cannot be read.

    """
    return asyncio.run(_check(settings, open_suppression_list(settings)))


def open_suppression_list(settings: Settings) -> CheckedSuppressionList | None:
    """Return the opt-out list of the settings; None if there is none.

    Raises:
        SourceError: it cannot be read.

    """
    if not settings.rules.suppression_file:
        return None
    listed = read_list(settings.rules, id_columns(settings.source))
    _, comparison = compare_list(settings.rules, listed)
    return CheckedSuppressionList(len(listed), listed.matches_contact, comparison)


async def _check(
    settings: Settings, suppression_list: CheckedSuppressionList | None
) -> SourceReport:
    report = SourceReport(listed=None if suppression_list is None else suppression_list.values)
    scan = _Scan(settings, report, suppression_list)
    with open_dry_run_view(settings) as ledger:
        report.is_begun = ledger.has_contacts
        source = make_source(settings, once=True, patient=False)
        async with aclosing(source.batches({})) as batches:
            async for batch in batches:
                scan.count(batch, ledger)
                if suppression_list is not None:
                    suppression_list.comparison.add(batch.contacts)
    if suppression_list is not None and (objection := suppression_list.comparison.objection()):
        report.list_problem = f"suppression list {settings.rules.suppression_file}: {objection}"
    return report


class _Scan:
    def __init__(
        self,
        settings: Settings,
        report: SourceReport,
        suppression_list: CheckedSuppressionList | None,
    ) -> None:
        self._report = report
        self._is_suppressed = suppression_list.is_suppressed if suppression_list else None
        self._used = frozenset(ColumnNames(make_row_rules(settings)).without_meaning())
        self._opt_out = opt_out_columns(settings.rules)
        self._zone_column = settings.rules.timezone_column
        self._now = SystemClock().time()

    def count(self, batch: Batch, ledger: LedgerView) -> None:
        report, new = self._report, ledger.take_new(batch.contacts)
        report.rows += batch.rows
        report.filtered += batch.filtered
        report.contacts += len(new)
        report.duplicates += len(batch.contacts) - len(new)
        report.irregularities.update(batch.irregularities)
        for row in batch.rejected:
            self._count_rejected(row)
        for contact in new:
            self._count_contact(contact, ledger)

    def _count_rejected(self, row: RejectedRow) -> None:
        self._report.rejected[row.reason] += 1
        if row.reason in WHOLE_FILE:
            self._report.unread.append(f"{row.file}:{row.line}: {row.detail}")
        if row.reason == "encoding":
            self._report.encodings[probable_encoding(row.raw)] += 1

    def _count_contact(self, contact: Contact, ledger: LedgerView) -> None:
        report, person = self._report, contact.external_contact_id
        report.expired += contact.expires_at is not None and contact.expires_at <= self._now
        report.without_person += person is None
        report.same_person += person is not None and ledger.mark_reached(person)
        report.suppressed += self._is_suppressed is not None and self._is_suppressed(contact)
        report.opted_out += bool(self._opt_out) and self._opt_out.declines(contact.attributes)
        report.unused.update(contact.attributes.keys() - self._used)
        if self._zone_column:
            self._count_zone(contact.attributes.get(self._zone_column, "").strip())

    def _count_zone(self, name: str) -> None:
        if not name:
            self._report.zones["none"] += 1
        elif find_zone(name) is not None:
            self._report.zones[name] += 1
        else:
            self._report.unknown_zones += 1


def probable_encoding(raw: bytes) -> str:
    """Return the encoding that a row which is not UTF-8 probably has."""
    if b"\0" in raw:
        return "UTF-16, or NUL characters"
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return "unknown"
    return "Windows-1252"
