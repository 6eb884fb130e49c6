"""What a run is connected with: its sources, its sinks, its ledger and its leader."""

from collections.abc import Sequence

from rich.text import Text

from dispatcher.app.control.watcher import Sight
from dispatcher.cli import formatting
from dispatcher.cli.leader_report import leader_lines
from dispatcher.cli.tables import printable
from dispatcher.cli.top.layout import field
from dispatcher.cli.top.view import ALARM, CARE, View, moment
from dispatcher.ports.snapshot import CampaignSnapshot, RunSnapshot, SourceSnapshot

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000.0


def source_lines(campaigns: Sequence[CampaignSnapshot], view: View) -> list[Text]:
    """Return what each source has given; those that wait come first."""
    lines: list[Text] = []
    named = [(one, one.source) for one in campaigns if one.source is not None]
    for campaign, source in sorted(named, key=lambda pair: not pair[1].waits_for):
        name = f"{printable(campaign.name)}: " if len(campaigns) > 1 else ""
        text = Text().append(name, style="bold").append_text(_source(source))
        lines += field("sources" if not lines else "", text, view.width, 2)
    return lines


def _source(source: SourceSnapshot) -> Text:
    text = Text(f"{printable(source.kind)}, {source.rows:,} rows in this run")
    if source.age is not None:
        text.append(f", the last {formatting.duration(source.age)} ago")
    if source.ended:
        text.append(", read to its end")
    elif source.watched:
        text.append(", watched")
    if source.lag is not None:
        text.append(f", {source.lag:,} rows wait in it")
    if source.waits_for:
        text.append(f", WAITS: {printable(source.waits_for)}", style=CARE)
    return text


def sink_lines(snapshot: RunSnapshot, width: int) -> list[Text]:
    """Return how many rows wait for each sink; those that fail come first."""
    lines: list[Text] = []
    for sink in sorted(snapshot.sinks, key=lambda sink: not sink.error):
        text = Text().append(f"{printable(sink.name)}: ", style="bold")
        text.append(f"{sink.lag:,} rows wait")
        if sink.error:
            text.append(f", FAILS: {printable(sink.error)}", style=CARE)
        lines += field("sinks" if not lines else "", text, width, 2)
    return lines


def ledger_lines(snapshot: RunSnapshot, view: View) -> list[Text]:
    """Return the size of the ledger and the time of a commit, or since when it is away."""
    ledger, text = snapshot.ledger, Text()
    if ledger.away_since is not None:
        lasting = formatting.since(ledger.away_since, view.now)
        words = f"AWAY since {moment(ledger.away_since, view.now)} ({lasting}): nothing is sent"
        text.append(words, style=ALARM)
    elif ledger.size:
        text.append(_size(ledger.size))
        if ledger.free is not None:
            text.append(f", {_size(ledger.free)} of the disk are free")
        if ledger.commit:
            text.append(f", a commit takes {ledger.commit * 1000:.1f} ms")
    return field("ledger", text, view.width, 2) if text else []


def _size(number: float) -> str:
    unit = 0
    while number >= _STEP and unit < len(_UNITS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if not unit else f"{number:.1f} {_UNITS[unit]}"


def lease_lines(sight: Sight, snapshot: RunSnapshot, view: View) -> list[Text]:
    """Return who leads, for a ledger on a server."""
    leaders = Text("\n").join(
        Text(printable(line).removeprefix("Leader ")) for line in leader_lines(sight.leases)
    )
    for lease in snapshot.leases:
        words = f"\nthis run waits for {printable(lease.name)}"
        leaders.append(f"{words}: {printable(lease.daemon)} on {printable(lease.host)} has it")
    return field("leader", leaders, view.width, 4) if leaders else []
