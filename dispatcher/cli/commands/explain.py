"""``dispatcher explain``: the whole story of one contact."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from dispatcher.cli import tables
from dispatcher.cli.commands.status import ledger_and_campaign
from dispatcher.cli.exit_codes import Exit
from dispatcher.ledgers.read import contact_history
from dispatcher.ledgers.read.reader import ledger_reader

STORY = ("time", "what", "answer", "means", "state", "correlation_id", "decision")
_TIMES = frozenset(
    {"due", "settled_at", "not_before", "expires_at", "intent_at", "state_at", "sent_at"}
)


def explain_command(given: Mapping[str, Any]) -> int:
    """Print the story of each contact with that key or id; return the exit code."""
    ledger, campaign = ledger_and_campaign(given)
    with ledger_reader(ledger) as connection:
        found = contact_history.describe_contact(
            connection, given["name"], campaign, parked_only=given.get("parked_only", False)
        )
    if given["as_json"]:
        click.echo(json.dumps(found, indent=2))
        return Exit.DONE
    for contact in found:
        _show(contact)
    return Exit.DONE


def _show(contact: Mapping[str, Any]) -> None:
    facts = {name: value for name, value in contact.items() if name != "story"}
    tables.show(
        f"Contact {contact['key']} of campaign {contact['campaign']}",
        ("fact", "value"),
        [
            (name, tables.moment(value) if name in _TIMES else value)
            for name, value in facts.items()
            if value not in (None, "")
        ],
    )
    click.echo()
    tables.show("Story", STORY, _story(contact["story"]))


def _story(story: list[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for entry in story:
        yield (tables.moment(entry["time"]), *(entry.get(column, "") for column in STORY[1:]))
