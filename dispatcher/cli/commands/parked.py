"""``dispatcher parked``: the contacts that wait for a person, and what becomes of them."""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import click
import orjson

from dispatcher.app.control import client
from dispatcher.cli import formatting, tables
from dispatcher.cli.commands.status import ledger_and_campaign
from dispatcher.cli.exit_codes import Exit
from dispatcher.domain.status import Reason
from dispatcher.ledgers import operator_commands
from dispatcher.ledgers.read.reader import ledger_reader

COLUMNS = (
    "id", "campaign", "key", "conversation_id", "reason", "parked_at", "attempts", "sends",
    "correlation_id",
)  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def age(text: str) -> float:
    """Return a duration such as 90, 30m, 12h or 3d in seconds.

    Raises:
        click.BadParameter: it is none.

    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration; write 90s, 30m, 12h or 3d")
    return float(found[1]) * _SECONDS[found[2]]


def list_command(given: Mapping[str, Any]) -> int:
    """Print the parked contacts that are meant."""
    ledger, campaign = ledger_and_campaign(given)
    found, total = _found(given, campaign, ledger)
    if given["as_json"]:
        click.echo(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in found], indent=2))
        return Exit.DONE
    shown = ((*row[:5], tables.moment(row[5]), *row[6:]) for row in found)
    tables.show("Parked contacts", COLUMNS, shown)
    if len(found) < total:
        click.echo(f"{len(found):,} of {total:,} parked contacts; --limit shows more.", err=True)
    return Exit.DONE


def put_back_command(given: Mapping[str, Any], *, verb: str) -> int:
    """Replay or drop the parked contacts that are meant."""
    ledger, campaign = ledger_and_campaign(given)
    selection = _selection(given, campaign)
    with ledger_reader(ledger) as connection:
        meant = Counter(row[3] for _, _, row in operator_commands.parked(connection, selection))
    if not meant:
        click.echo("No parked contact is meant: nothing was done.")
        return Exit.DONE
    _confirm(verb, meant, sure=given["yes"])
    done = client.execute(ledger, verb, selection.to_dict())
    click.echo(f"{_words(verb, done.answer)}, {done.by}.")
    return Exit.DONE


def _words(verb: str, answer: Mapping[str, Any]) -> str:
    if verb == "drop":
        return f"{formatting.contacts(answer['dropped'])} dropped"
    words = f"{formatting.contacts(answer['ready'] + answer['in_doubt'])} replayed"
    if answer["in_doubt"]:
        words += f" ({answer['in_doubt']:,} of them in doubt: the platform is asked first)"
    return words


def _confirm(verb: str, meant: Mapping[str, int], *, sure: bool) -> None:
    """Let a person type the number where it is more than one contact."""
    number = sum(meant.values())
    if number == 1 or sure:
        return
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(meant.items()))
    if not _at_terminal():
        raise click.UsageError(
            f"{number:,} parked contacts are meant ({reasons}); say --yes to {verb} them all, or "
            "name fewer with --reason, --older-than, --limit or their keys"
        )
    click.echo(f"{number:,} parked contacts are meant ({reasons}).")
    if click.prompt(f"Type their number to {verb} them", type=int) != number:
        raise click.Abort


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _selection(given: Mapping[str, Any], campaign: str | None) -> operator_commands.Selection:
    reason = given["reason"]
    return operator_commands.Selection(
        before=time.time() - (given["older_than"] or 0.0),
        campaign=campaign,
        reason=Reason(reason) if reason else None,
        names=tuple(given["names"]),
        limit=given["limit"],
    )


def _found(
    given: Mapping[str, Any], campaign: str | None, ledger: Any
) -> tuple[list[tuple[Any, ...]], int]:
    """Return the rows to show, and how many are meant in all."""
    selection = _selection({**given, "limit": None}, campaign)
    rows: list[tuple[Any, ...]] = []
    total = 0
    with ledger_reader(ledger) as connection:
        for _, name, row in operator_commands.parked(connection, selection):
            total += 1
            if len(rows) < given["limit"]:
                rows.append(_row(name, row))
    return rows, total


def _row(campaign: str, row: list[Any]) -> tuple[Any, ...]:
    id_, key, conversation, reason, settled_at, progress, correlation = row
    done = orjson.loads(progress) if progress else {}
    tried = done.get("attempts", 0), done.get("sends", 0)
    return id_, campaign, key, conversation, reason, settled_at, *tried, correlation or ""
