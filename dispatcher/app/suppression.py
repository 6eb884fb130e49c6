"""The suppression list of a campaign: opened, proved to fit its contacts, and followed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from dispatcher.domain.events import SuppressionListKept
from dispatcher.ports import EventSink, Source, SourceError
from dispatcher.settings import RulesSettings, Settings, SourceSettings
from dispatcher.sources.suppression.fit import MISFIT, Comparison, ListFit, compare_source
from dispatcher.sources.suppression.last_size import LastSize
from dispatcher.sources.suppression_list import SuppressionList

STDIN = "-"
_ID_MEANINGS = frozenset({"conversation_id", "contact_key", "external_contact_id", "address"})


@dataclass(frozen=True, slots=True)
class ListContext:
    """What a list is compared with, and where its alarms go.

    ``source`` is the campaign's source, to be read from its beginning; None: it can be read only
    once. ``id_columns`` are the names that its columns of ids and addresses have in the file.
    ``last_size`` is the list's size in the last run; with ``remembers`` the present one is kept.
    """

    campaign: str
    source: Source | None = None
    id_columns: frozenset[str] = field(default_factory=frozenset)
    events: EventSink | None = None
    last_size: LastSize | None = None
    remembers: bool = False


def id_columns(source: SourceSettings) -> frozenset[str]:
    """Return the names that columns of ids and addresses have in the source."""
    return frozenset(
        name for meaning, name in source.columns.items() if str(meaning) in _ID_MEANINGS
    )


def can_be_compared(source: SourceSettings) -> bool:
    """Return True if the source is a file that can be read twice and is there at the start."""
    path = Path(source.path)
    is_stream = source.path == STDIN or (path.exists() and not path.is_file())
    return source.kind == "files" and not source.watch and not is_stream


def read_list(
    rules: RulesSettings,
    columns: frozenset[str] = frozenset(),
    on_broken: Callable[[str], None] = lambda _: None,
    on_mended: Callable[[], None] = lambda: None,
    on_taken: Callable[[int], None] = lambda _: None,
) -> SuppressionList:
    """Return the list of the settings. ``columns`` are the source's, as of `id_columns`.

    Raises:
        SourceError: it cannot be read, or is no list that can be trusted.

    """
    path, chosen = Path(rules.suppression_file), rules.suppression_columns
    return SuppressionList(
        path, on_broken, on_mended, on_taken=on_taken, id_columns=columns, columns=chosen
    )


def last_size(settings: Settings) -> LastSize:
    """Return the size in the last run of the list of one campaign, whose settings these are."""
    ledger, rules = settings.ledger.local_name, settings.rules
    sizes = ledger.with_name(f"{ledger.name}-lists.json")
    path = Path(rules.suppression_file)
    return LastSize(sizes, path, settings.campaign, rules.suppression_columns)


def describe_lists(settings: Settings) -> Iterator[str]:
    """Yield for people how many values each campaign's list has, and how it was read.

    Raises:
        SourceError: a list cannot be read, is no list that can be trusted, or is much shorter than
            in the last run.

    """
    for campaign in settings.campaigns:
        if campaign.rules.suppression_file:
            suppression_list = read_list(campaign.rules, id_columns(campaign.source))
            last_size(settings.only(campaign)).compare(suppression_list)
            which = f"campaign {campaign.name}: " if len(settings.campaigns) > 1 else ""
            path, count = campaign.rules.suppression_file, len(suppression_list)
            values = f"{count} value{'' if count == 1 else 's'}"
            yield f"{which}suppression list {path}: {values} ({suppression_list.about})"


async def open_list(rules: RulesSettings, context: ListContext) -> tuple[SuppressionList, ListFit]:
    """Read the list, and prove that it fits the contacts of the source, if there are any yet.

    Raises:
        SourceError: the list cannot be read, is no list that can be trusted, or has no value that
            looks like an identifier of any contact of the source, is much shorter than before, or
            matches nearly all contacts of the source.

    """
    alarms = _Alarms(rules, context)
    last = context.last_size
    taken = last.remember if last and context.remembers else lambda _: None
    suppression_list = await asyncio.to_thread(
        read_list, rules, context.id_columns, alarms.keep_last, alarms.end, taken
    )
    alarms.log.info(
        "suppression.read",
        file=rules.suppression_file,
        values=len(suppression_list),
        detail=suppression_list.about,
    )
    if last is not None:
        await asyncio.to_thread(last.compare, suppression_list)
    fit, comparison = compare_list(rules, suppression_list, alarms.hold)
    if context.source is not None:
        objection = ""
        with suppress(SourceError):  # the run reads the source itself, and reports it
            objection = await compare_source(context.source, comparison)
        if objection:
            raise SourceError(f"suppression list {rules.suppression_file}: {objection}")
    await asyncio.to_thread(taken, len(suppression_list))
    return suppression_list, fit


def compare_list(
    rules: RulesSettings,
    suppression_list: SuppressionList,
    on_unproved: Callable[[], None] = lambda: None,
) -> tuple[ListFit, Comparison]:
    """Return what proves that a list fits its contacts, and what compares them at the start."""
    fit = ListFit(suppression_list, on_unproved)
    fit.is_proved = rules.suppression_any_shape
    return fit, Comparison(suppression_list, fit, rules.suppression_max_share)


class _Alarms:
    """Logs what happens to a list, and emits it for the metrics; from any thread."""

    def __init__(self, rules: RulesSettings, context: ListContext) -> None:
        self.log = structlog.get_logger(campaign=context.campaign)
        self._file = rules.suppression_file
        self._events = context.events
        self._loop = asyncio.get_running_loop()

    def keep_last(self, reason: str) -> None:
        self.log.error("suppression.kept_last", file=self._file, detail=reason)
        self._emit(kept=True)

    def end(self) -> None:
        self.log.info("suppression.mended", file=self._file)
        self._emit(kept=False)

    def hold(self) -> None:
        self.log.error("suppression.unproved", file=self._file, detail=MISFIT)

    def _emit(self, *, kept: bool) -> None:
        if self._events is not None:
            event = SuppressionListKept(kept)
            self._loop.call_soon_threadsafe(self._events.emit, event)
