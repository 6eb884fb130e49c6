"""``dispatcher status``: the status of campaigns, from the running dispatcher or the ledger."""

import json
import time

import click

from dispatcher.app.control.status_json import from_json
from dispatcher.app.status import StatusReport, read_status
from dispatcher.app.wiring import make_policy
from dispatcher.cli import formatting, summary, tables
from dispatcher.cli.condition_report import condition_lines
from dispatcher.cli.config import LedgerOptions, ledger_options
from dispatcher.cli.consoles import OutputConsole
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.leader_report import is_led, leader_lines
from dispatcher.cli.options import debug_option, json_option
from dispatcher.domain.doubts import Doubts
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.status import SendAnswer, Status
from dispatcher.ports import Backlog
from dispatcher.ports.questions import CampaignStatus
from dispatcher.settings import requests_per_minute

WATCH_SECONDS = 2.0
"""How often --watch reads the status again."""


@click.command(epilog=EPILOG)
@ledger_options
@json_option
@click.option("--watch", is_flag=True, help="Show it again every 2 seconds, until interrupted.")
@debug_option
def status(options: LedgerOptions, *, as_json: bool, watch: bool) -> int:
    """Show the status of a campaign: from the running dispatcher, else from the ledger.

    With a ledger in PostgreSQL it also shows which dispatcher leads, on which machine.
    First its condition: what is wrong, the evidence, and what to do. Then it has contacts by
    status and reason, how many are due and since when, halts, pauses, rates, and
    how long the contacts of the ledger take with the quota.

    \b
    Examples:
      dispatcher status --config dispatcher.toml
      dispatcher status --ledger ledger.db --json
      dispatcher status --watch
    """
    ledger, campaign = options.ledger_and_campaign()
    quota, policy = assumptions(options)
    while True:
        report = read_status(ledger, campaign, quota, policy)
        if watch:
            click.clear()
        if as_json:
            click.echo(json.dumps(report, indent=2))
        else:
            show(report, time.time())
        if not watch:
            return ExitCode.DONE
        time.sleep(WATCH_SECONDS)


def show(report: StatusReport, now: float) -> None:
    """Print the status for people."""
    console = OutputConsole(highlight=False)
    for line in condition_lines(report["run"], now):
        console.print(line, markup=False, soft_wrap=True)
    for values in report["campaigns"]:
        campaign = from_json(values)
        summary.show_totals(console, campaign.campaign, campaign.totals)
        in_doubt = campaign.totals.by_status.get((Status.IN_DOUBT, None), 0)
        console.print(waiting(campaign.backlog, in_doubt, now), *_pause(campaign, now))
        if campaign.doubts is not None:
            console.print(doubtful(campaign.doubts))
    for line in leader_lines(report["leases"]):
        console.print(line, markup=False, soft_wrap=True)
    for line in (*_eta(report), *_run(report, now)):
        console.print(line)


def waiting(backlog: Backlog, in_doubt: int, now: float) -> str:
    """Return a sentence with the contacts that are not final, and when the next is due."""
    if not backlog.due + backlog.later + backlog.claimed_or_sending + in_doubt:
        return "Every contact is final."
    parts = [
        f"{backlog.due:,} due now",
        f"{backlog.later:,} due later",
        f"{backlog.claimed_or_sending:,} being processed",
        f"{in_doubt:,} in doubt",
    ]
    if backlog.oldest_due is not None:
        parts.append(f"the oldest due for {formatting.since(backlog.oldest_due, now)}")
    if backlog.next_due is not None:
        parts.append(f"the next in {formatting.since(now, backlog.next_due)}")
    return f"Not final: {', '.join(parts)}."


def doubtful(doubts: Doubts) -> str:
    """Return a sentence with what the contacts in doubt wait for, and until when."""
    parts = ["the next run looks for them"] if doubts.parked_at is None else []
    if doubts.records_until is not None:
        reach = doubts.records_reach
        known = "" if reach is None else f" (so far {tables.moment(reach)})"
        until = tables.moment(doubts.records_until)
        parts.append(f"waiting until the platform's records reach {until}{known}")
    if doubts.parked_at is not None:
        parts.append(f"the next look back is due at {tables.moment(doubts.next_look)}")
        parts.append(f"parked at {tables.moment(doubts.parked_at)} if no proof comes")
    return f"{doubts.contacts:,} in doubt: {'; '.join(parts)}."


def assumptions(options: LedgerOptions) -> tuple[float | None, ReconcilePolicy | None]:
    """Return the quota, and what is assumed of sends in doubt; None without a configuration."""
    return _quota(options), _policy(options)


def _quota(options: LedgerOptions) -> float | None:
    """Return the quota in requests per second; None without a configuration."""
    if options.ledger and options.config is None:
        return None
    return requests_per_minute(options.load_settings()) / 60


def _policy(options: LedgerOptions) -> ReconcilePolicy | None:
    """Return what is assumed of sends in doubt; None without a configuration."""
    if options.ledger and options.config is None:
        return None
    return make_policy(options.load_settings()).reconcile


def _pause(campaign: CampaignStatus, now: float) -> list[str]:
    if campaign.paused_since is None:
        return []
    return [f"Paused for {formatting.since(campaign.paused_since, now)}."]


def _eta(report: StatusReport) -> list[str]:
    if not report["left"] or report["eta_seconds"] is None:
        return []
    per_minute = report["requests_per_second"] * 60
    estimate = (
        f"At {per_minute:,.0f} requests a minute and {report['requests_per_contact']:g} requests "
        "per contact, the contacts in the ledger take at least "
        f"{formatting.duration(report['eta_seconds'])}."
    )
    return [estimate]


def _run(report: StatusReport, now: float) -> list[str]:
    run = report["run"]
    if run is None:
        if is_led(report["leases"]):
            return [
                "This was read from the ledger: the dispatcher that leads is not asked from here."
            ]
        return ["No dispatcher is running: this was read from the ledger."]
    rates, gauges, clients = run["rates"], run["gauges"] or {}, run.get("clients", {})
    in_flight = (
        f"Reported by the running {report['source']}: {run['in_flight']} in flight; "
        f"{rates['settled_10']:g} contacts and {rates['requests_10']:g} requests a second over 10 "
        f"s, {rates['settled_60']:g} and {rates['requests_60']:g} over 60 s; "
        f"{gauges.get('quota_used', 0.0):.0%} of the quota used."
    )
    halts = (
        f"HALTED: {_halt(reason, since, now)}" for reason, since in run["halted_since"].items()
    )
    requests = (
        f"Client {name}: {client['requests']:,} requests, {client['pace']:g}/s, "
        f"{client['quota_used']:.0%} of its quota used."
        for name, client in clients.items()
    )
    client_halts = (
        f"Client {name} HALTED: {_halt(reason, since, now)}"
        for name, client in clients.items()
        for reason, since in client["halted_since"].items()
    )
    counted = [*_posts(run), *_sinks(run), *_unchecked_sends(run)]
    return [in_flight, *counted, *halts, *requests, *client_halts]


def _posts(run: StatusReport) -> list[str]:
    """Return a sentence with the posts of contacts, if there were any."""
    posts = run.get("posts", {})  # a running dispatcher may be an older one
    answers = posts.get("answers", {})
    if not answers:
        return []
    by_status = ", ".join(f"{number:,} with {status}" for status, number in sorted(answers.items()))
    total = sum(answers.values())
    return [f"{total:,} posts with {posts['rows']:,} rows accepted; answered {by_status}."]


def _sinks(run: StatusReport) -> list[str]:
    """Return a sentence for each sink: what waits for it, and why if it fails."""
    sinks = run.get("sinks", {})  # a running dispatcher may be an older one
    return [
        f"Sink {name}: {state['lag']:,} wait" + (f"; {state['error']}." if state["error"] else ".")
        for name, state in sinks.items()
    ]


def _unchecked_sends(run: StatusReport) -> list[str]:
    answers = run.get("unchecked_sends", {}).values()  # a running dispatcher may be an older one
    accepted, refused = (
        sum(numbers.get(str(answer), 0) for numbers in answers)
        for answer in (SendAnswer.ACCEPTED, SendAnswer.REFUSED)
    )
    sentence = formatting.unchecked_sends(accepted, refused, run.get("requests_saved", 0.0))
    return [sentence] if sentence else []


def _halt(reason: str, since: float, now: float) -> str:
    return f"{reason}, since {tables.moment(since)} ({formatting.since(since, now)})."
