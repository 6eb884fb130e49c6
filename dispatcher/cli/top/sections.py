"""What `dispatcher top` shows of a run, as lines: the most important first.

Every text that comes from outside is made printable, so that no name can control a terminal. Words
carry the meaning, and colours repeat it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from dispatcher.app.control.sums import sum_campaigns
from dispatcher.app.control.watcher import Sight
from dispatcher.cli import formatting
from dispatcher.cli.leader_report import leader_lines
from dispatcher.cli.tables import printable
from dispatcher.cli.top.campaign_table import ALL, campaign_section
from dispatcher.cli.top.layout import LABEL, Section, field
from dispatcher.domain.condition import Cause
from dispatcher.domain.status import Status
from dispatcher.ports.snapshot import (
    DRAINING,
    STANDBY,
    STARTING,
    CampaignSnapshot,
    ConditionSnapshot,
    Counted,
    DoubtSnapshot,
    FailureSnapshot,
    OAuthClientSnapshot,
    QuotaSnapshot,
    RatesSnapshot,
    RunSnapshot,
    SourceSnapshot,
    WaitSnapshot,
)

STALE_SECONDS = 10.0
"""Gauges older than this are said to be old."""
_ALARM, _CARE, _CALM = "bold red", "bold yellow", "green"
_STATUSES = (Status.NOTIFIED, Status.OPENED, Status.SKIPPED, Status.REJECTED, Status.PARKED)
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000.0
_BAR = 20
_DAY = 86_400
_COURSE = 34
"""Columns beside a chart for its name and its scale."""
_FEW = 5
_WIDE = 110
_MANY_STEPS = 2


@dataclass(frozen=True, slots=True)
class View:
    """How to show it: at which time, in so many columns, and which campaign is selected.

    ``selected`` is the row in the table of campaigns, and 0 the sum; None: no row is marked.
    ``course`` has the rates of earlier looks, the oldest first.
    """

    now: float
    width: int
    selected: int | None = None
    ascii_only: bool = False
    course: Sequence[RatesSnapshot] = ()


def sections(sight: Sight, view: View) -> list[Section]:
    """Return all that is known of the run; the last ones are left out first."""
    snapshot = sight.snapshot
    if snapshot is None:
        return [Section(field("no run", Text(printable(sight.trouble)), view.width))]
    campaigns, width = snapshot.campaigns, view.width
    shown = _selected(snapshot, view)
    whole = sum_campaigns(ALL, campaigns) if len(campaigns) != 1 else campaigns[0]
    chosen = whole if shown is None else shown
    condition = snapshot.condition if shown is None else shown.condition
    halts = snapshot.halts if shown is None else {**snapshot.halts, **shown.halts}
    failures = snapshot.failures if shown is None else shown.failures
    return [
        Section([_title(sight, snapshot, view)]),
        Section(_trouble(sight, view), least=4),
        Section(_condition(condition, view) if not sight.ended else [], least=4),
        Section(_halts(halts, view), least=2),
        campaign_section(campaigns, width, view.selected),
        Section(_outcomes(chosen, width)),
        Section(_failures(failures, width), least=2),
        Section(_quota(snapshot.quota, view, snapshot) if not sight.ended else [], least=2),
        Section(_waits(chosen, view), least=1),
        Section(_clients(snapshot.clients, view) if not sight.ended else [], least=1),
        Section(_sources(campaigns if shown is None else [shown], view), least=1),
        Section(_sinks(snapshot, width) if not sight.ended else [], least=1),
        Section(_ledger(snapshot, view), least=1),
        Section(_leader(sight, snapshot, view), least=1),
        Section(_rows(chosen, width), least=0),
        Section(_course(view), least=0),
    ]


def _selected(snapshot: RunSnapshot, view: View) -> CampaignSnapshot | None:
    """Return the campaign that is selected; None if all are."""
    if len(snapshot.campaigns) == 1:
        return snapshot.campaigns[0]
    row = view.selected or 0
    return snapshot.campaigns[row - 1] if 0 < row <= len(snapshot.campaigns) else None


def _title(sight: Sight, snapshot: RunSnapshot, view: View) -> Text:
    left = Text().append("dispatcher top", style="bold")
    if snapshot.pid and not sight.ended:
        lasting = formatting.since(snapshot.started_at, view.now)
        phase = Text(snapshot.phase, style=_CARE if snapshot.phase in _PHASES else "")
        left.append("  pid ").append(str(snapshot.pid)).append(", ").append_text(phase)
        left.append(f" for {lasting}")
        if sight.earlier_pid is not None:
            left.append(f"; before it pid {sight.earlier_pid}")
    clock = time.strftime("%H:%M:%S UTC", time.gmtime(view.now))
    left.truncate(max(0, view.width - len(clock) - 1), overflow="ellipsis")
    return left.append(" " * (view.width - left.cell_len - len(clock))).append(clock)


_PHASES = frozenset({STARTING, STANDBY, DRAINING})


def _trouble(sight: Sight, view: View) -> list[Text]:
    """Return why the rest is not of now; empty if it is."""
    if not sight.trouble:
        return []
    since = sight.lost_at or view.now
    lasting = f"since {moment(since, view.now)} ({formatting.since(since, view.now)})"
    if not sight.ended:
        words = f"No answer {lasting}: {printable(sight.trouble)}. The figures are the last ones."
        return field("STALE", Text(words, style=_CARE), view.width, 3)
    pid = sight.snapshot.pid if sight.snapshot else 0
    subject = f"The run (pid {pid}) has ended, or is restarting" if pid else "No run answers"
    words = f"{subject}: no answer {lasting}. This is what the ledger has; the next run is shown."
    return field("NO RUN", Text(words, style=_CARE), view.width, 3)


def _condition(condition: ConditionSnapshot, view: View) -> list[Text]:
    calm = condition.priority == "none"
    style = _CALM if calm else _ALARM if condition.priority == "P1" else _CARE
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
    few = 1 if condition.priority == "P3" else _MANY_STEPS
    steps = condition.steps if view.width >= _WIDE else condition.steps[:few]
    for number, step in enumerate(steps, 1):
        words = Text(f"{number}. {printable(step)}")
        lines += field("to do" if number == 1 else "", words, view.width, 2)
    for other in condition.others:
        words = Text(f"{printable(other.cause)}: {printable(other.words)}")
        lines += field("also", words, view.width, 1)
    return lines


def _halts(halts: Mapping[str, float], view: View) -> list[Text]:
    text = Text()
    for reason, since in halts.items():
        name = "PAUSED" if reason == "paused" else f"HALTED: {printable(reason)}"
        lasting = f"since {moment(since, view.now)} ({formatting.since(since, view.now)})"
        text.append("   " if text else "").append(f"{name}, {lasting}", style=_ALARM)
    return field("halts", text, view.width, 3) if text else []


def _outcomes(campaign: CampaignSnapshot, width: int) -> list[Text]:
    text = Text()
    for status in _STATUSES:
        reasons = campaign.outcomes.get(status, {})
        total = sum(reasons.values())
        text.append("   " if text else "")
        text.append(f"{formatting.status_name(status)} ").append(f"{total:,}", style="bold")
        if reasons and list(reasons) != ["delivered"]:
            text.append(f" ({_words(reasons)})")
    return field("outcomes", text, width, 4)


def _failures(failures: FailureSnapshot, width: int) -> list[Text]:
    text = Text()
    for name, counts in (
        ("scope errors", failures.scope_errors),
        ("closed-session conflicts", failures.closed_session_conflicts),
        ("retry loops", failures.retry_loops),
    ):
        total = sum(counts.values())
        text.append("   " if text else "").append(f"{name} ")
        text.append(f"{total:,}", style=_CARE if total else "bold")
        if total:
            text.append(f" ({_words(counts)})")
    return field("failures", text, width, 3)


def _quota(quota: QuotaSnapshot, view: View, snapshot: RunSnapshot) -> list[Text]:
    lines = field("quota", _quota_words(quota, view), view.width, 2)
    rates = snapshot.rates
    total = sum(sum(answers.values()) for answers in snapshot.requests.values())
    text = Text(f"{total:,} in all, {rates.requests_10:.1f}/s over 10 s, ")
    text.append(f"{rates.requests_60:.1f}/s over 60 s")
    if snapshot.requests_per_contact:
        text.append(f", {snapshot.requests_per_contact:.1f} for a contact")
    if snapshot.throttled:
        text.append(f", 429: {snapshot.throttled:,}", style=_CARE)
    return lines + field("requests", text, view.width, 2)


def _quota_words(quota: QuotaSnapshot, view: View) -> Text:
    if not quota.limit:
        return Text(f"not known yet, pace {quota.pace:.1f}/s")
    bar = _BAR if view.width >= _WIDE else _BAR // 2
    full = round(quota.used * bar)
    on, off = ("#", ".") if view.ascii_only else ("█", "░")
    text = Text().append(on * full, style="cyan").append(off * (bar - full), style="dim")
    text.append(f" {quota.used:.0%} of {quota.limit:,.0f}/min: ours ")
    text.append(f"{quota.own:,.0f}", style="bold").append(", others' ")
    text.append(f"{quota.others:,.0f}", style="bold").append(", left ")
    text.append(f"{quota.left:,.0f}", style="bold")
    return text.append(f"; pace {quota.pace:.1f}/s") if view.width >= _WIDE else text


def _waits(campaign: CampaignSnapshot, view: View) -> list[Text]:
    """Return what waits, why and until when."""
    parts = [_wait(wait, view) for wait in campaign.waits]
    if campaign.later and not parts:
        parts = [f"{campaign.later:,} due later"]
    if campaign.due:
        since = campaign.oldest_due
        oldest = f", the oldest for {formatting.since(since, view.now)}" if since else ""
        parts.insert(0, f"{campaign.due:,} due now{oldest}")
    if campaign.next_due is not None and campaign.next_due > view.now:
        parts.append(f"the next is due in {formatting.duration(campaign.next_due - view.now)}")
    if campaign.in_doubt is not None:
        parts.append(_doubts(campaign.in_doubt, view))
    if not parts:
        parts = [f"{campaign.busy:,} being processed" if campaign.busy else "nothing"]
    if campaign.read_at is None:
        parts = ["not known yet"]
    elif view.now - campaign.read_at > STALE_SECONDS:
        parts.append(f"read {formatting.since(campaign.read_at, view.now)} ago")
    lines: list[Text] = []
    for part in parts:
        lines += field("waiting" if not lines else "", Text(part), view.width, 2)
    if view.width < _WIDE and len(lines) > _MANY_STEPS:
        return field("waiting", Text("; ".join(parts)), view.width, 4)
    return lines


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


def _clients(clients: Sequence[OAuthClientSnapshot], view: View) -> list[Text]:
    lines: list[Text] = []
    for client in sorted(clients, key=lambda client: not client.halts):
        quota = client.quota
        text = Text().append(f"{printable(client.name)}: ", style="bold")
        text.append(f"{client.requests:,} requests, {quota.pace:.1f}/s, ")
        text.append(f"{quota.used:.0%} of {quota.limit:,.0f}/min (others' {quota.others:,.0f})")
        if client.throttled:
            text.append(f", 429: {client.throttled:,}", style=_CARE)
        if client.scope_errors:
            text.append(f", scope errors {client.scope_errors:,}", style=_CARE)
        for reason, since in client.halts.items():
            lasting = formatting.since(since, view.now)
            text.append(f", HALTED: {printable(reason)}, for {lasting}", style=_ALARM)
        lines += field("clients" if not lines else "", text, view.width, 2)
    return lines


def _sources(campaigns: Sequence[CampaignSnapshot], view: View) -> list[Text]:
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
        text.append(f", WAITS: {printable(source.waits_for)}", style=_CARE)
    return text


def _sinks(snapshot: RunSnapshot, width: int) -> list[Text]:
    lines: list[Text] = []
    for sink in sorted(snapshot.sinks, key=lambda sink: not sink.error):
        text = Text().append(f"{printable(sink.name)}: ", style="bold")
        text.append(f"{sink.lag:,} rows wait")
        if sink.error:
            text.append(f", FAILS: {printable(sink.error)}", style=_CARE)
        lines += field("sinks" if not lines else "", text, width, 2)
    return lines


def _ledger(snapshot: RunSnapshot, view: View) -> list[Text]:
    ledger, text = snapshot.ledger, Text()
    if ledger.away_since is not None:
        lasting = formatting.since(ledger.away_since, view.now)
        words = f"AWAY since {moment(ledger.away_since, view.now)} ({lasting}): nothing is sent"
        text.append(words, style=_ALARM)
    elif ledger.size:
        text.append(_size(ledger.size))
        if ledger.free is not None:
            text.append(f", {_size(ledger.free)} of the disk are free")
        text.append(f", a commit takes {ledger.commit * 1000:.1f} ms")
    return field("ledger", text, view.width, 2) if text else []


def _leader(sight: Sight, snapshot: RunSnapshot, view: View) -> list[Text]:
    """Return who leads, for a ledger on a server."""
    leaders = Text("\n").join(
        Text(printable(line).removeprefix("Leader ")) for line in leader_lines(sight.leases)
    )
    for lease in snapshot.leases:
        words = f"\nthis run waits for {printable(lease.name)}"
        leaders.append(f"{words}: {printable(lease.daemon)} on {printable(lease.host)} has it")
    return field("leader", leaders, view.width, 4) if leaders else []


def _rows(campaign: CampaignSnapshot, width: int) -> list[Text]:
    if not campaign.rows:
        return []
    words = ", ".join(f"{printable(word)} {number:,}" for word, number in campaign.rows.items())
    return field("rows", Text(words), width, 1)


def _course(view: View) -> list[Text]:
    """Return how the rates went since the session began, as far as there is room."""
    room = view.width - LABEL - _COURSE
    looks = view.course[-room:] if room > 0 else ()
    if len(looks) < _FEW:
        return []
    settled = _chart("contacts/s", [look.settled_10 for look in looks], view)
    requests = _chart("requests/s", [look.requests_10 for look in looks], view)
    return field("course", settled, view.width) + field("", requests, view.width)


def _chart(name: str, rates: Sequence[float], view: View) -> Text:
    levels, highest = "._-=#" if view.ascii_only else "▁▂▃▄▅▆▇█", max(rates)
    scale = (len(levels) - 1) / highest if highest else 0.0
    text = Text(f"{name} ").append("".join(levels[round(rate * scale)] for rate in rates), "cyan")
    return text.append(f" {min(rates):.1f} to {highest:.1f}")


def _words(counts: Counted) -> str:
    return ", ".join(f"{printable(word)} {number:,}" for word, number in _largest(counts))


def _largest(counts: Counted) -> Iterator[tuple[str, int]]:
    yield from sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _size(number: float) -> str:
    unit = 0
    while number >= _STEP and unit < len(_UNITS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if not unit else f"{number:.1f} {_UNITS[unit]}"


def moment(seconds: float, now: float) -> str:
    """Return a time in UTC: of the day if it is near, else with its date."""
    near = abs(seconds - now) < _DAY / 2
    return time.strftime("%H:%M:%SZ" if near else "%Y-%m-%d %H:%MZ", time.gmtime(seconds))
