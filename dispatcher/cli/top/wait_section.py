"""What the contacts that are not final wait for, and until when."""

from collections.abc import Iterator

from rich.text import Text

from dispatcher.cli import formatting
from dispatcher.cli.tables import printable
from dispatcher.cli.top.layout import field
from dispatcher.cli.top.view import NARROW_LINES, WIDE, View, moment
from dispatcher.ports.snapshot import CampaignSnapshot, DoubtSnapshot, WaitSnapshot

STALE_SECONDS = 10.0
"""Gauges older than this are said to be old."""


def wait_lines(campaign: CampaignSnapshot, view: View, *, ended: bool = False) -> list[Text]:
    """Return what waits, why and until when; ``ended``: no run works on it."""
    if campaign.read_at is None:
        parts = ["not known yet"]
    else:
        parts = [*_due(campaign, view), *_begun(campaign, view, ended=ended)]
        parts = parts or ["nothing: every contact of the ledger is final"]
        if view.now - campaign.read_at > STALE_SECONDS:
            parts.append(f"read {formatting.since(campaign.read_at, view.now)} ago")
    lines: list[Text] = []
    for part in parts:
        lines += field("waiting" if not lines else "", Text(part), view.width, 2)
    if view.width < WIDE and len(lines) > NARROW_LINES:
        return field("waiting", Text("; ".join(parts)), view.width, 4)
    return lines


def _due(campaign: CampaignSnapshot, view: View) -> Iterator[str]:
    """Yield what is due, and what is due later."""
    if campaign.due:
        since = campaign.oldest_due
        oldest = f", the oldest for {formatting.since(since, view.now)}" if since else ""
        yield f"{campaign.due:,} due now{oldest}"
    yield from (_wait(wait, view) for wait in campaign.waits)
    if campaign.later and not campaign.waits:
        yield f"{campaign.later:,} due later"
    if campaign.next_due is not None and campaign.next_due > view.now:
        yield f"the next is due in {formatting.duration(campaign.next_due - view.now)}"


def _begun(campaign: CampaignSnapshot, view: View, *, ended: bool) -> Iterator[str]:
    """Yield what is in doubt, and what is being processed if that is all or if no run does it."""
    if campaign.in_doubt is not None:
        yield _doubts(campaign.in_doubt, view)
    if campaign.busy and ended:
        yield f"{campaign.busy:,} were being processed: the next run takes them up"
    elif campaign.busy and not campaign.due + campaign.later and campaign.in_doubt is None:
        yield f"{campaign.busy:,} being processed"


def _wait(wait: WaitSnapshot, view: View) -> str:
    words = f"{wait.contacts:,} {printable(wait.reason)}"
    if wait.first is None or wait.last is None:
        return words
    first, last = moment(wait.first, view.now), moment(wait.last, view.now)
    return f"{words}, due {first}" if first == last else f"{words}, due {first} to {last}"


def _doubts(doubts: DoubtSnapshot, view: View) -> str:
    parts = [f"{doubts.contacts:,} in doubt"]
    if doubts.next_look is not None:
        parts.append(f"next look back {moment(doubts.next_look, view.now)}")
    if doubts.records_reach is not None:
        parts.append(f"records reach {moment(doubts.records_reach, view.now)}")
    if doubts.parked_at is not None:
        parts.append(f"parked at {moment(doubts.parked_at, view.now)} without proof")
    return ", ".join(parts)
