"""``dispatcher explain``: the whole history of one contact."""

import json
from collections.abc import Mapping
from typing import Any

import click

from dispatcher.app.store import operator_store
from dispatcher.cli import tables
from dispatcher.cli.config import LedgerOptions, ledger_options
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option, json_option
from dispatcher.domain.errors import ExitCode
from dispatcher.ports.questions import HistoryOf

STORY_COLUMNS = ("time", "what", "answer", "means", "state", "correlation_id", "decision")
_TIMES = frozenset(
    {
        "due", "settled_at", "not_before", "expires_at", "intent_at", "state_at", "sent_at",
        "verified_at",
    }
)  # fmt: skip


@click.command(epilog=EPILOG)
@click.argument("name", metavar="CONTACT")
@ledger_options
@debug_option
@json_option
def explain(options: LedgerOptions, *, name: str, as_json: bool) -> int:
    """Show the whole history of one contact, from the ledger.

    CONTACT is its key, its conversation id, or its external contact id. The history has every
    state check, decision and attempt, the answers with their correlation ids, and the times in
    UTC.

    \b
    Examples:
      dispatcher explain order-4711
      dispatcher explain 5f0c9a3e --campaign cart-2026-11 --json
    """
    return show_history(options, name, as_json=as_json)


def show_history(
    options: LedgerOptions, name: str, *, as_json: bool, parked_only: bool = False
) -> ExitCode:
    """Print the history of each contact with that key or id; return the exit code."""
    ledger, campaign = options.ledger_and_campaign()
    contacts = operator_store(ledger).look(HistoryOf(name, campaign, parked_only))
    if as_json:
        click.echo(json.dumps(contacts, indent=2))
        return ExitCode.DONE
    for contact in contacts:
        _show(contact)
    return ExitCode.DONE


def _show(contact: Mapping[str, Any]) -> None:
    tables.show(
        f"Contact {contact['key']} of campaign {contact['campaign']}",
        ("fact", "value"),
        [
            (name, tables.moment(value) if name in _TIMES else value)
            for name, value in contact.items()
            if name != "story" and value not in (None, "")
        ],
    )
    click.echo()
    rows = (
        (tables.moment(entry["time"]), *(entry.get(column, "") for column in STORY_COLUMNS[1:]))
        for entry in contact["story"]
    )
    tables.show("History", STORY_COLUMNS, rows)
