"""The table of campaigns, with as many columns as the width of a terminal permits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from dispatcher.app.control.sums import sum_campaigns
from dispatcher.cli import formatting, tables
from dispatcher.cli.top.layout import Section, window
from dispatcher.domain.status import Status
from dispatcher.ports.snapshot import UNKNOWN, CampaignSnapshot

ALL = "all"
"""The name of the row with the sums."""
_SHORTEST_NAME = 20
_LONGEST_NAME = 40
_GAP = 2
_STATE = 16
"""Columns of the longest cause, so that the table does not change with each one."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures; those with the lowest ``rank`` stay in a narrow terminal."""

    title: str
    rank: int
    value: Callable[[CampaignSnapshot], str]


def _sent(campaign: CampaignSnapshot) -> int:
    return campaign.total(Status.NOTIFIED) + campaign.total(Status.OPENED)


def _eta(campaign: CampaignSnapshot) -> str:
    if not campaign.left:
        return "-"
    eta = campaign.eta_seconds if campaign.condition.cause != UNKNOWN else None
    return "unknown" if eta is None else formatting.duration(eta)


COLUMNS = (
    Column("ROWS", 9, lambda c: f"{c.rows.get('read', 0):,}"),
    Column("REJECTED", 10, lambda c: f"{c.rows.get('rejected', 0):,}"),
    Column("SENT", 0, lambda c: f"{_sent(c):,}"),
    Column("LEFT", 1, lambda c: f"{c.left:,}"),
    Column("DUE", 11, lambda c: f"{c.due:,}"),
    Column("LATER", 8, lambda c: f"{c.later:,}"),
    Column("BUSY", 12, lambda c: f"{c.busy:,}"),
    Column("DOUBT", 13, lambda c: f"{c.in_doubt.contacts if c.in_doubt else 0:,}"),
    Column("PARKED", 5, lambda c: f"{c.total(Status.PARKED):,}"),
    Column("REFUSED", 6, lambda c: f"{c.total(Status.REJECTED):,}"),
    Column("SKIPPED", 7, lambda c: f"{c.total(Status.SKIPPED):,}"),
    Column("PER S", 3, lambda c: f"{c.rates.settled_10:.1f}"),
    Column("TIME LEFT", 4, _eta),
)
"""The columns in the order in which they are shown."""


def campaign_section(
    campaigns: Sequence[CampaignSnapshot], width: int, selected: int | None = None
) -> Section:
    """Return a row for each campaign; ``selected`` is the row that is marked: 0 is `ALL`."""
    rows = [("", campaign) for campaign in campaigns]
    if len(campaigns) > 1:
        rows = [(ALL, sum_campaigns(ALL, campaigns)), *rows]
    cells = [[column.value(one) for column in COLUMNS] for _, one in rows]
    states = [_state(one) if not name else Text() for name, one in rows]
    names = [name or tables.printable(one.name) for name, one in rows]
    state_width = max([_STATE, *(state.cell_len for state in states)])
    name_width = min(_LONGEST_NAME, max([8, *(Text(name).cell_len for name in names)]))
    marked = selected is not None and len(campaigns) > 1
    room = width - 2 * marked - _GAP - state_width
    shown = _columns(cells, room - min(name_width, _SHORTEST_NAME))
    figures = sum(_width(number, cells) + _GAP for number in shown)
    name_width = max(1, min(name_width, room - figures))

    def line(name: str, values: Sequence[str], state: Text, mark: str = " ") -> Text:
        first = Text(name)
        first.truncate(name_width, overflow="ellipsis", pad=True)
        text = Text(f"{mark} " if marked else "").append_text(first)
        for number in shown:
            text.append(f"{'':{_GAP}}{values[number]:>{_width(number, cells)}}")
        text = text.append(" " * _GAP).append_text(state)
        text.truncate(width)
        return text

    head = line("CAMPAIGN", [column.title for column in COLUMNS], Text("STATE"))
    head.stylize("bold")
    lines = [head]
    for number, (name, values, state) in enumerate(zip(names, cells, states, strict=True)):
        lines.append(line(name, values, state, ">" if number == selected else " "))
        if marked and number == selected:
            lines[-1].stylize("reverse", 2, 2 + name_width)

    def cut(size: int) -> list[Text]:
        heads = 1 if size > 1 else 0  # a single line is that of the selected campaign
        first = 1 + window(len(lines) - 1, selected or 0, size - heads)
        return [*lines[:heads], *lines[first : first + size - heads]]

    return Section(lines, least=min(len(lines), 5), cut=cut)


def _width(number: int, cells: Sequence[Sequence[str]]) -> int:
    return max(len(COLUMNS[number].title), *(len(row[number]) for row in cells), 0)


def _columns(cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the numbers of the columns that fit into so many characters."""
    shown: list[int] = []
    for number in sorted(range(len(COLUMNS)), key=lambda n: COLUMNS[n].rank):
        room -= _width(number, cells) + _GAP
        if room < 0:
            break
        shown.append(number)
    return sorted(shown)


def _state(campaign: CampaignSnapshot) -> Text:
    if campaign.paused_since is not None:
        return Text("paused", style="bold yellow")
    if campaign.halts:
        return Text(f"HALTED {', '.join(map(tables.printable, campaign.halts))}", style="bold red")
    cause = tables.printable(campaign.condition.cause)
    calm = campaign.condition.priority == "none" and cause != UNKNOWN
    return Text(cause, style="" if calm else "bold yellow")
