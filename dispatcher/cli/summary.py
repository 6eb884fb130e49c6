"""The summary of a run: what became of every row of the source, and the requests it took."""

from collections import Counter
from collections.abc import Iterator, Mapping

from rich.console import Console

from dispatcher.cli import formatting
from dispatcher.cli.tables import new_table
from dispatcher.domain.status import FINAL, SendAnswer
from dispatcher.ports import Totals
from dispatcher.telemetry.stats.run_stats import Snapshot

Line = tuple[str, str, int]
"""The outcome of some rows, the reason, and their number."""


def lines(totals: Totals) -> Iterator[Line]:
    """Yield the lines of the summary; every row of the source is counted in one of them."""
    for status in formatting.OUTCOMES:
        found = ((reason, n) for (s, reason), n in totals.by_status.items() if s is status and n)
        for reason, number in sorted(found, key=lambda pair: (-pair[1], str(pair[0]))):
            yield formatting.status_name(status), str(reason or ""), number
    for (status, _), number in totals.by_status.items():
        if status not in FINAL and number:
            yield "waiting", f"{status}, not final", number
    yield "duplicate", "already in the campaign", totals.duplicates
    for word, number in sorted(totals.rejected.items(), key=lambda pair: (-pair[1], pair[0])):
        yield formatting.ROW_REJECTED, word, number
    yield "filtered", "not selected by source.filter", totals.filtered


def show_totals(console: Console, campaign: str, totals: Totals) -> None:
    """Print what became of every row."""
    table = new_table(f"Campaign {campaign}, all runs", "outcome", "reason", "rows")
    shown = [line for line in lines(totals) if line[2]]
    for became, reason, number in shown:
        table.add_row(became, reason, f"{number:,}")
    table.add_section()
    table.add_row("all rows", "", f"{totals.rows:,}", style="bold")
    console.print(table)
    missing = totals.rows - sum(number for _, _, number in shown)
    if missing:
        console.print(f"The lines differ from the rows by {missing:,}: please report it as a bug.")


def show_run(console: Console, snapshot: Snapshot) -> None:
    """Print the requests of this run, and its failures by kind."""
    table = new_table("This run", "requests", "answer", "number")
    for (step, status), number in sorted(snapshot.requests.items()):
        table.add_row(str(step), status, f"{number:,}")
    table.add_section()
    for name, tags in formatting.failures_by_tag(snapshot).items():
        by_tag = ", ".join(f"{tag}: {number}" for tag, number in sorted(tags.items()))
        table.add_row(name, by_tag, f"{sum(tags.values()):,}")
    console.print(table)
    _show_clients(console, snapshot)
    if unchecked := _unchecked_sends(snapshot):
        console.print(unchecked, highlight=False)
    console.print(_pace(snapshot), highlight=False)


def _show_clients(console: Console, snapshot: Snapshot) -> None:
    if not snapshot.clients:
        return
    table = new_table("This run, by client", "client", "state", "429", "scope errors", "requests")
    for name, state in formatting.clients(snapshot).items():
        client = snapshot.clients[name]
        numbers = (client.throttled, client.scope_errors, client.requests)
        table.add_row(name, state, *(f"{number:,}" for number in numbers))
    console.print(table)


def show_campaigns(console: Console, snapshots: Mapping[str, Snapshot]) -> None:
    """Print the requests and settled contacts of each campaign, if there are several."""
    if len(snapshots) == 1:
        return
    table = new_table("This run, by campaign", "campaign", "state", "requests", "contacts settled")
    for campaign, snapshot in snapshots.items():
        state = ", ".join(formatting.halts(snapshot))
        requests, settled = snapshot.requests_total, snapshot.settled_total
        table.add_row(campaign, state, f"{requests:,}", f"{settled:,}")
    console.print(table)


def _unchecked_sends(snapshot: Snapshot) -> str:
    answers = Counter[SendAnswer]()
    for (_, answer), number in snapshot.unchecked_sends.items():
        answers[answer] += number
    accepted, refused = answers[SendAnswer.ACCEPTED], answers[SendAnswer.REFUSED]
    return formatting.unchecked_sends(accepted, refused, snapshot.requests_saved)


def _pace(snapshot: Snapshot) -> str:
    settled, requests = snapshot.settled_total, snapshot.requests_total
    ratio = f", {requests / settled:.2f} requests per contact" if settled else ""
    return (
        f"{formatting.contacts(settled)} settled in {formatting.duration(snapshot.seconds)}, "
        f"{formatting.plural(requests, 'request')}{ratio}."
    )
