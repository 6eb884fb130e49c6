"""The summary of a campaign: every row of the source in exactly one line, and what it took."""

from collections.abc import Iterator, Mapping

from rich.console import Console

from dispatcher.cli import formatting
from dispatcher.cli.tables import new_table
from dispatcher.domain.status import FINAL
from dispatcher.ports import Totals
from dispatcher.telemetry.stats.run_stats import Snapshot

Line = tuple[str, str, int]
"""What became of rows, why, and of how many."""


def lines(totals: Totals) -> Iterator[Line]:
    """Yield the lines of the summary: together they are all rows of the source."""
    for status in formatting.OUTCOMES:
        found = ((reason, n) for (s, reason), n in totals.by_status.items() if s is status and n)
        for reason, number in sorted(found, key=lambda pair: (-pair[1], str(pair[0]))):
            yield str(status), str(reason or ""), number
    for (status, _), number in totals.by_status.items():
        if status not in FINAL and number:
            yield "waiting", f"{status}, not final", number
    yield "duplicate", "already in the campaign", totals.duplicates
    for word, number in sorted(totals.rejected.items(), key=lambda pair: (-pair[1], pair[0])):
        yield "rejected row", word, number
    yield "filtered", "kept out by source.filter", totals.filtered


def show_totals(console: Console, campaign: str, totals: Totals) -> None:
    """Print what became of every row."""
    table = new_table(f"Campaign {campaign}, all runs", "became", "reason", "rows")
    found = [found for found in lines(totals) if found[2]]
    for became, reason, number in found:
        table.add_row(became, reason, formatting.count(number))
    table.add_section()
    table.add_row("all rows", "", formatting.count(totals.rows), style="bold")
    console.print(table)
    missing = totals.rows - sum(number for _, _, number in found)
    if missing:
        console.print(f"The lines differ from the rows by {missing:,}: please report it as a bug.")


def show_run(console: Console, snapshot: Snapshot) -> None:
    """Print the requests of this run, and its failures by kind."""
    table = new_table("This run", "requests", "answer", "number")
    for (step, status), number in sorted(snapshot.requests.items()):
        table.add_row(str(step), status, formatting.count(number))
    table.add_section()
    for name, tags in formatting.failures_by_tag(snapshot).items():
        table.add_row(name, _words(tags), formatting.count(sum(tags.values())))
    console.print(table)
    _show_clients(console, snapshot)
    console.print(_pace(snapshot), highlight=False)


def _show_clients(console: Console, snapshot: Snapshot) -> None:
    if not snapshot.clients:
        return
    table = new_table("This run, by client", "client", "state", "429", "scope errors", "requests")
    for name, state in formatting.clients(snapshot).items():
        one = snapshot.clients[name]
        numbers = (one.throttled, one.scope_errors, one.requests)
        table.add_row(name, state, *(formatting.count(number) for number in numbers))
    console.print(table)


def show_campaigns(console: Console, snapshots: Mapping[str, Snapshot]) -> None:
    """Print what each of several campaigns took of this run."""
    if len(snapshots) == 1:
        return
    table = new_table("This run, by campaign", "campaign", "state", "requests", "contacts settled")
    for campaign, snapshot in snapshots.items():
        state = ", ".join(formatting.halts(snapshot))
        requests, settled = snapshot.requests_total, snapshot.settled_total
        table.add_row(campaign, state, formatting.count(requests), formatting.count(settled))
    console.print(table)


def _pace(snapshot: Snapshot) -> str:
    settled, requests = snapshot.settled_total, snapshot.requests_total
    each = f"{requests / settled:.2f} requests per contact" if settled else "no contact settled"
    return (
        f"{formatting.count(settled)} contacts settled in {formatting.duration(snapshot.seconds)}, "
        f"{formatting.count(requests)} requests, {each}."
    )


def _words(tags: Mapping[str, int]) -> str:
    return ", ".join(f"{tag}: {number}" for tag, number in sorted(tags.items()))
