"""``dispatcher status``: how campaigns stand, from the running dispatcher or from the ledger."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dispatcher.app.control import client
from dispatcher.cli import formatting, summary, tables
from dispatcher.cli.config import load_settings
from dispatcher.cli.exit_codes import Exit
from dispatcher.domain.status import Status
from dispatcher.ledgers.read import status
from dispatcher.ledgers.read.reader import ledger_reader
from dispatcher.ledgers.read.status import CampaignStatus
from dispatcher.ports import Backlog
from dispatcher.settings import requests_per_minute

WATCH_SECONDS = 2.0
"""How often --watch looks again."""

REQUESTS_EACH = 2.0
"""Requests that a contact is taken to need before a run has shown its own figure."""

Told = Mapping[str, Any]


def status_command(given: Mapping[str, Any]) -> int:
    """Print how the campaigns of a ledger stand; return the exit code."""
    ledger, campaign = ledger_and_campaign(given)
    quota = _quota(given)
    while True:
        told = tell(ledger, campaign, quota)
        if given["watch"]:
            click.clear()
        if given["as_json"]:
            click.echo(json.dumps(told, indent=2))
        else:
            show(told, time.time())
        if not given["watch"]:
            return Exit.DONE
        time.sleep(WATCH_SECONDS)


def tell(ledger: Path, campaign: str | None, quota: float | None = None) -> dict[str, Any]:
    """Return how things stand, as plain values; ``quota`` is in requests per second.

    Raises:
        OrderError: the campaign is not in the ledger.
        LedgerError: there is no ledger, or it cannot be read.

    """
    asked = client.standing(ledger, campaign)
    if asked is not None:
        run: Told | None = asked["run"]
        campaigns, source = asked["campaigns"], f"dispatcher {asked['pid']}"
        quota = asked["run"]["requests_per_second"]
    else:
        run, source = None, "ledger"
        with ledger_reader(ledger) as connection:
            campaigns = status.campaign_statuses(connection, campaign, time.time())
    left = sum(_left(told["backlog"]) for told in campaigns)
    each = _requests_each(run)
    return {
        "source": source,
        "campaigns": campaigns,
        "left": left,
        "requests_per_contact": round(each, 2),
        "requests_per_second": quota,
        "eta_seconds": round(left * each / quota, 1) if quota else None,
        "run": run,
    }


def show(told: Told, now: float) -> None:
    """Print how things stand, for people."""
    console = Console(highlight=False)
    for plain in told["campaigns"]:
        standing = status.from_json(plain)
        summary.show_totals(console, standing.campaign, standing.totals)
        in_doubt = standing.totals.by_status.get((Status.IN_DOUBT, None), 0)
        console.print(waiting(standing.backlog, in_doubt, now), *_pause(standing, now))
    for line in (*_eta(told), *_run(told, now)):
        console.print(line)


def waiting(backlog: Backlog, in_doubt: int, now: float) -> str:
    """Tell what is not final, and when it goes on."""
    if not backlog.due + backlog.later + backlog.busy + in_doubt:
        return "Every contact is final."
    parts = [
        f"{formatting.count(backlog.due)} due now",
        f"{formatting.count(backlog.later)} due later",
        f"{formatting.count(backlog.busy)} in the hands of a run",
        f"{formatting.count(in_doubt)} in doubt",
    ]
    if backlog.oldest_due is not None:
        parts.append(
            f"the oldest due for {formatting.duration(max(0.0, now - backlog.oldest_due))}"
        )
    if backlog.next_due is not None:
        parts.append(f"the next in {formatting.duration(max(0.0, backlog.next_due - now))}")
    return f"Not final: {', '.join(parts)}."


def ledger_and_campaign(given: Mapping[str, Any]) -> tuple[Path, str | None]:
    """Find the ledger: named by itself, or by a configuration with its one campaign."""
    if given["ledger"] and not given["config"]:
        return Path(given["ledger"]), given["campaign"]
    settings = load_settings(given, purpose="status")
    if given.get("campaign"):
        return settings.ledger.path, given["campaign"]
    named = settings.origin("campaign") is not None and len(settings.campaigns) == 1
    return settings.ledger.path, settings.campaign if named else None


def _quota(given: Mapping[str, Any]) -> float | None:
    """Return the quota in requests per second, where a configuration tells it."""
    if given["ledger"] and not given["config"]:
        return None
    return requests_per_minute(load_settings(given, purpose="status")) / 60


def _left(backlog: Mapping[str, Any]) -> int:
    return int(backlog["due"] + backlog["later"] + backlog["busy"])


def _requests_each(run: Told | None) -> float:
    """Return how many requests a contact takes, by the run so far."""
    if run is None:
        return REQUESTS_EACH
    settled = sum(number for reasons in run["settled"].values() for number in reasons.values())
    requests = sum(number for answers in run["requests"].values() for number in answers.values())
    return requests / settled if settled and requests else REQUESTS_EACH


def _pause(standing: CampaignStatus, now: float) -> list[str]:
    if standing.paused_since is None:
        return []
    return [f"Paused for {formatting.duration(max(0.0, now - standing.paused_since))}."]


def _eta(told: Told) -> list[str]:
    if not told["left"] or told["eta_seconds"] is None:
        return []
    per_minute = told["requests_per_second"] * 60
    words = (
        f"At {per_minute:,.0f} requests a minute and {told['requests_per_contact']:g} requests per "
        f"contact, what the ledger holds takes {formatting.duration(told['eta_seconds'])} at least."
    )
    return [words]


def _run(told: Told, now: float) -> list[str]:
    run = told["run"]
    if run is None:
        return ["No dispatcher runs on it: this is what the ledger says."]
    rates, gauges = run["rates"], run["gauges"] or {}
    words = (
        f"Told by the running {told['source']}: {run['in_flight']} in flight; "
        f"{rates['settled_10']:g} contacts and {rates['requests_10']:g} requests a second over 10 "
        f"s, {rates['settled_60']:g} and {rates['requests_60']:g} over 60 s; "
        f"{gauges.get('quota_used', 0.0):.0%} of the quota used."
    )
    halts = (
        f"HALTED: {reason}, since {tables.moment(since)} ({formatting.duration(now - since)})."
        for reason, since in run["halted_since"].items()
    )
    clients = (
        f"Client {name}: {formatting.count(one['requests'])} requests, {one['pace']:g}/s, "
        f"{one['quota_used']:.0%} of its quota used."
        for name, one in run.get("clients", {}).items()
    )
    return [words, *halts, *clients, *_halted_clients(run, now)]


def _halted_clients(run: Told, now: float) -> list[str]:
    return [
        f"Client {name} HALTED: {reason}, since {tables.moment(since)} "
        f"({formatting.duration(now - since)})."
        for name, one in run.get("clients", {}).items()
        for reason, since in one["halted_since"].items()
    ]
