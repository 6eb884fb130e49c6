"""What is wrong with a run: the condition, its halts, and whether it answers."""

from collections.abc import Mapping

from rich.text import Text

from dispatcher.app.control.watcher import Sight
from dispatcher.cli import formatting
from dispatcher.cli.tables import printable
from dispatcher.cli.top.layout import field
from dispatcher.cli.top.view import ALARM, CALM, CARE, NARROW_LINES, WIDE, View, moment
from dispatcher.domain.condition import Cause
from dispatcher.ports.snapshot import ConditionSnapshot


def trouble_lines(sight: Sight, view: View) -> list[Text]:
    """Return why the rest is not of now; empty if it is."""
    if not sight.trouble:
        return []
    since = sight.lost_at or view.now
    lasting = f"since {moment(since, view.now)} ({formatting.since(since, view.now)})"
    if not sight.ended:
        words = f"No answer {lasting}: {printable(sight.trouble)}. The figures are the last ones."
        return field("STALE", Text(words, style=CARE), view.width, 3)
    pid = sight.snapshot.pid if sight.snapshot else 0
    subject = f"The run (pid {pid}) has ended, or is restarting" if pid else "No run answers"
    words = f"{subject}: no answer {lasting}. This is what the ledger has; the next run is shown."
    return field("NO RUN", Text(words, style=CARE), view.width, 3)


def condition_lines(condition: ConditionSnapshot, view: View) -> list[Text]:
    """Return the condition with its urgency, its evidence and what to do."""
    calm = condition.priority == "none"
    style = CALM if calm else ALARM if condition.priority == "P1" else CARE
    title = f"{printable(condition.cause)}: {printable(condition.title)}"
    text = Text().append(title, style=style)
    if not calm:
        urgency = f"{printable(condition.priority)}: {printable(condition.effect)}"
        text.append(f" [{urgency}]", style=style)
    if condition.since:
        lasting = formatting.since(condition.since, view.now)
        text.append(f", since {moment(condition.since, view.now)} ({lasting})")
    lines = field("condition", text, view.width, 2)
    if condition.words and condition.cause != Cause.OK:
        lines += field("evidence", Text(printable(condition.words)), view.width, 2)
    if calm:
        return lines
    few = 1 if condition.priority == "P3" else NARROW_LINES
    steps = condition.steps if view.width >= WIDE else condition.steps[:few]
    for number, step in enumerate(steps, 1):
        words = Text(f"{number}. {printable(step)}")
        lines += field("to do" if number == 1 else "", words, view.width, 2)
    for other in condition.others:
        words = Text(f"{printable(other.cause)}: {printable(other.words)}")
        lines += field("also", words, view.width, 1)
    return lines


def halt_lines(halts: Mapping[str, float], view: View) -> list[Text]:
    """Return what is halted or paused, and since when."""
    text = Text()
    for reason, since in halts.items():
        name = "PAUSED" if reason == "paused" else f"HALTED: {printable(reason)}"
        lasting = f"since {moment(since, view.now)} ({formatting.since(since, view.now)})"
        text.append("   " if text else "").append(f"{name}, {lasting}", style=ALARM)
    return field("halts", text, view.width, 3) if text else []
