"""The requests of a run: the quota, the rates, and each OAuth client."""

from collections.abc import Sequence

from rich.text import Text

from dispatcher.cli import formatting
from dispatcher.cli.tables import printable
from dispatcher.cli.top.layout import field
from dispatcher.cli.top.view import ALARM, CARE, WIDE, View
from dispatcher.ports.snapshot import OAuthClientSnapshot, QuotaSnapshot, RunSnapshot

_BAR = 20


def quota_lines(quota: QuotaSnapshot, view: View, snapshot: RunSnapshot) -> list[Text]:
    """Return the use of the quota, and the rates of requests."""
    lines = field("quota", _quota_words(quota, view), view.width, 2)
    rates = snapshot.rates
    total = sum(sum(answers.values()) for answers in snapshot.requests.values())
    text = Text(f"{total:,} in all, {rates.requests_10:.1f}/s over 10 s, ")
    text.append(f"{rates.requests_60:.1f}/s over 60 s")
    if snapshot.requests_per_contact:
        text.append(f", {snapshot.requests_per_contact:.1f} for a contact")
    if snapshot.throttled:
        text.append(f", 429: {snapshot.throttled:,}", style=CARE)
    return lines + field("requests", text, view.width, 2)


def _quota_words(quota: QuotaSnapshot, view: View) -> Text:
    if not quota.limit:
        return Text(f"not known yet, pace {quota.pace:.1f}/s")
    bar = _BAR if view.width >= WIDE else _BAR // 2
    full = round(quota.used * bar)
    on, off = ("#", ".") if view.ascii_only else ("█", "░")
    text = Text().append(on * full, style="cyan").append(off * (bar - full), style="dim")
    text.append(f" {quota.used:.0%} of {quota.limit:,.0f}/min: ours ")
    text.append(f"{quota.own:,.0f}", style="bold").append(", others' ")
    text.append(f"{quota.others:,.0f}", style="bold").append(", left ")
    text.append(f"{quota.left:,.0f}", style="bold")
    return text.append(f"; pace {quota.pace:.1f}/s") if view.width >= WIDE else text


def client_lines(clients: Sequence[OAuthClientSnapshot], view: View) -> list[Text]:
    """Return the requests of each OAuth client; those that are halted come first."""
    lines: list[Text] = []
    for client in sorted(clients, key=lambda client: not client.halts):
        quota = client.quota
        text = Text().append(f"{printable(client.name)}: ", style="bold")
        text.append(f"{client.requests:,} requests, {quota.pace:.1f}/s, ")
        text.append(f"{quota.used:.0%} of {quota.limit:,.0f}/min (others' {quota.others:,.0f})")
        if client.throttled:
            text.append(f", 429: {client.throttled:,}", style=CARE)
        if client.scope_errors:
            text.append(f", scope errors {client.scope_errors:,}", style=CARE)
        for reason, since in client.halts.items():
            lasting = formatting.since(since, view.now)
            text.append(f", HALTED: {printable(reason)}, for {lasting}", style=ALARM)
        lines += field("clients" if not lines else "", text, view.width, 2)
    return lines
