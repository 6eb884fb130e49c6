"""What is wrong with a run: the condition, its halts, and whether it answers."""

from collections.abc import Mapping
from dataclasses import replace

from rich.text import Text

from dispatcher.app.control.watcher import Sight
from dispatcher.cli import formatting
from dispatcher.cli.leader_report import is_led
from dispatcher.cli.tables import printable
from dispatcher.cli.top.layout import field
from dispatcher.cli.top.view import ALARM, CALM, CARE, NARROW_LINES, WIDE, View, moment
from dispatcher.domain.condition import Cause
from dispatcher.ports.snapshot import UNKNOWN, ConditionSnapshot, RunSnapshot


def trouble_lines(sight: Sight, view: View) -> list[Text]:
    """Return why the rest is not of now; empty if it is."""
    if not sight.trouble:
        return []
    since = sight.lost_at or view.now
    lasting = f"since {moment(since, view.now)} ({formatting.since(since, view.now)})"
    if sight.snapshot is None:
        words = f"Looking for the run {lasting}: {printable(sight.trouble)}."
        return field("NO RUN", Text(words, style=CARE), view.width, 3)
    pid = sight.snapshot.pid
    if not sight.ended:
        last = "The figures are the last ones." if pid else ""
        words = f"No answer {lasting}: {printable(sight.trouble)}. {last}"
        return field("STALE", Text(words, style=CARE), view.width, 3)
    subject = f"The run (pid {pid}) has ended, or is restarting: no answer {lasting}."
    if not pid:
        beside = ": a standby takes no commands" if is_led(sight.leases) else ""
        subject = f"No run answers on this machine{beside}. Waiting for one {lasting}."
    words = f"{subject} {_contacts_words(sight)}"
    return field("NO RUN", Text(words, style=CARE), view.width, 5)


def _contacts_words(sight: Sight) -> str:
    """Return what the contacts are that are shown without a run."""
    shown = sight.snapshot is not None and sight.snapshot.campaigns
    if sight.unread:
        unread = printable(sight.unread)
        return f"The figures are the last ones: {unread}." if shown else f"For now: {unread}."
    if not shown:
        return "The ledger has no campaign yet."
    return "This is what the ledger has; the next run is shown."


def known_now(sight: Sight) -> RunSnapshot | None:
    """Return the snapshot; a condition from before the run stopped to answer is not known now."""
    snapshot = sight.snapshot
    if snapshot is None or not sight.trouble or sight.ended:
        return snapshot
    since = sight.lost_at or snapshot.taken_at
    unknown = ConditionSnapshot.unknown(since, "the run does not answer")
    campaigns = [replace(one, condition=unknown) for one in snapshot.campaigns]
    return replace(snapshot, condition=unknown, campaigns=campaigns)


def condition_lines(condition: ConditionSnapshot, view: View) -> list[Text]:
    """Return the condition with its urgency, its evidence and what to do."""
    if condition.cause == UNKNOWN:
        lasting = formatting.since(condition.since, view.now)
        since = f"unknown since {moment(condition.since, view.now)} ({lasting})"
        text = Text(f"{since}: {printable(condition.words)}", style=CARE)
        return field("condition", text, view.width, 2)
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
