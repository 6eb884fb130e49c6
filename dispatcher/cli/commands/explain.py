"""``dispatcher explain``: the whole history of one contact."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click

from dispatcher.cli import tables
from dispatcher.cli.config import LedgerOptions
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import json_option, ledger_options, with_options
from dispatcher.domain.errors import ExitCode
from dispatcher.ledgers.read import contact_history

STORY_COLUMNS = ("time", "what", "answer", "means", "state", "correlation_id", "decision")
_TIMES = frozenset(
    {"due", "settled_at", "not_before", "expires_at", "intent_at", "state_at", "sent_at"}
)


@dataclass(frozen=True, kw_only=True)
class ExplainCommandOptions(LedgerOptions):
    """Options of ``dispatcher explain`` and ``dispatcher parked show``."""

    name: str
    as_json: bool


@click.command(epilog=EPILOG)
@click.argument("name", metavar="CONTACT")
@ledger_options
@json_option
@with_options(ExplainCommandOptions)
def explain(options: ExplainCommandOptions) -> int:
    """Show the whole history of one contact, from the ledger.

    CONTACT is its key, its conversation id, or its external contact id. The history has every
    state check, decision and attempt, the answers with their correlation ids, and the times in
    UTC.

    \b
    Examples:
      dispatcher explain order-4711
      dispatcher explain 5f0c9a3e --campaign cart-2026-11 --json
    """
    return show_history(options, parked_only=False)


def show_history(options: ExplainCommandOptions, *, parked_only: bool) -> ExitCode:
    """Print the history of each contact with that key or id; return the exit code."""
    ledger, campaign = options.ledger_and_campaign()
    contacts = contact_history.describe_contact(
        ledger, options.name, campaign, parked_only=parked_only
    )
    if options.as_json:
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
    tables.show("History", STORY_COLUMNS, _story_rows(contact["story"]))


def _story_rows(story: list[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for entry in story:
        columns = (entry.get(column, "") for column in STORY_COLUMNS[1:])
        yield (tables.moment(entry["time"]), *columns)
