"""``dispatcher parked``: list, show, replay or drop the contacts that wait for a person."""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import click

from dispatcher.app.control import client
from dispatcher.app.store import operator_store
from dispatcher.cli import formatting, tables
from dispatcher.cli.commands.explain import show_history
from dispatcher.cli.config import Command, LedgerOptions, ledger_options, option_group
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option, json_option
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.status import Reason, Status
from dispatcher.ports.orders import DropOrder, ReplayOrder, Selection
from dispatcher.ports.questions import ParkedContacts
from dispatcher.settings import LedgerPlace

COLUMNS = (
    "id", "campaign", "key", "conversation_id", "reason", "parked_at", "attempts", "sends",
    "correlation_id",
)  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}
Verb = Literal["replay", "drop"]
ORDERS: Mapping[Verb, type[ReplayOrder | DropOrder]] = {"replay": ReplayOrder, "drop": DropOrder}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def age(text: str) -> float:
    """Return a duration such as 90, 30m, 12h or 3d in seconds.

    Raises:
        click.BadParameter: the text is not a duration.

    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a duration; write 90s, 30m, 12h or 3d")
    return float(match[1]) * _SECONDS[match[2]]


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """Options that select parked contacts."""

    names: tuple[str, ...]
    reason: str | None
    older_than: float | None

    def selection(
        self, campaign: str | None, limit: int | None, status: Status = Status.PARKED
    ) -> Selection:
        """Return the selection as the ledger's commands take it."""
        return Selection(
            before=time.time() - (self.older_than or 0.0),
            campaign=campaign,
            reason=Reason(self.reason) if self.reason else None,
            names=self.names,
            limit=limit,
            status=status,
        )


def selection_options(*, limit: int | None) -> Callable[[Command], Command]:
    """Return a decorator that adds the options that select contacts."""
    return option_group(
        SelectionOptions,
        click.option(
            "--reason", type=click.Choice([str(reason) for reason in Reason]), metavar="REASON",
            help="Only contacts with this reason.",
        ),
        click.option(
            "--older-than", metavar="AGE", type=age,
            help="Only contacts with this status for longer: 30m, 12h, 3d.",
        ),
        click.option(
            "--limit", type=click.IntRange(min=1), default=limit, show_default=bool(limit),
            help="At most this many, in the order in which they were admitted.",
        ),
        click.argument("names", nargs=-1, metavar="[KEY|ID]..."),
    )  # fmt: skip


yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


@click.group()
def parked() -> None:
    """List the parked contacts, which wait for a decision, and replay or drop them.

    \b
    Examples:
      dispatcher parked list --reason in_doubt
      dispatcher parked show order-4711
      dispatcher parked replay --reason exhausted --older-than 1h
      dispatcher parked drop order-4711
    """


@parked.command("list", short_help="List parked contacts.")
@selection_options(limit=100)
@ledger_options
@debug_option
@json_option
def list_(selected: SelectionOptions, options: LedgerOptions, *, limit: int, as_json: bool) -> int:
    """List parked contacts: ids, reasons and counts, never a message or an address.

    \b
    Examples:
      dispatcher parked list
      dispatcher parked list --reason identity --limit 1000 --json
      dispatcher parked list --older-than 3d --campaign cart-2026-11
    """
    ledger, campaign = options.ledger_and_campaign()
    question = ParkedContacts(selected.selection(campaign, None))
    found = operator_store(ledger).look(question)
    shown = found[:limit]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return ExitCode.DONE
    rows = [[*{**row, "parked_at": tables.moment(row["parked_at"])}.values()] for row in shown]
    tables.show("Parked contacts", COLUMNS, rows)
    if len(shown) < len(found):
        click.echo(
            f"{len(shown):,} of {len(found):,} parked contacts; --limit shows more.", err=True
        )
    return ExitCode.DONE


@parked.command(short_help="Show everything about one parked contact.")
@click.argument("name", metavar="KEY|ID")
@ledger_options
@debug_option
@json_option
def show(options: LedgerOptions, *, name: str, as_json: bool) -> int:
    """Show everything about one parked contact, with its history.

    \b
    Example:
      dispatcher parked show order-4711
    """
    return show_history(options, name, as_json=as_json, parked_only=True)


@parked.command(epilog=EPILOG, short_help="Put parked contacts back into the run.")
@selection_options(limit=None)
@ledger_options
@debug_option
@yes_option
def replay(
    selected: SelectionOptions, options: LedgerOptions, *, limit: int | None, yes: bool
) -> int:
    """Put parked contacts back: they are due immediately, with a new count of attempts.

    A contact that was parked in doubt is in doubt again: nothing is sent before the platform was
    asked. A running dispatcher makes the change and sends to them; if none is running, the next run
    sends to them.

    \b
    Examples:
      dispatcher parked replay order-4711 order-4712
      dispatcher parked replay --reason exhausted --limit 100 --yes
    """
    ledger, campaign = options.ledger_and_campaign()
    return replay_or_drop("replay", ledger, selected.selection(campaign, limit), yes=yes)


@parked.command(epilog=EPILOG, short_help="Make parked contacts final: nothing is sent.")
@selection_options(limit=None)
@ledger_options
@debug_option
@yes_option
def drop(
    selected: SelectionOptions, options: LedgerOptions, *, limit: int | None, yes: bool
) -> int:
    """Make parked contacts final as skipped, with reason dropped; their messages are removed.

    \b
    Examples:
      dispatcher parked drop order-4711
      dispatcher parked drop --reason identity --older-than 7d
    """
    ledger, campaign = options.ledger_and_campaign()
    return replay_or_drop("drop", ledger, selected.selection(campaign, limit), yes=yes)


def replay_or_drop(verb: Verb, ledger: LedgerPlace, selection: Selection, *, yes: bool) -> ExitCode:
    """Let the selected contacts be replayed or dropped, after a person has confirmed it.

    Raises:
        click.UsageError: there is no terminal to ask at.
        click.Abort: it was not confirmed.

    """
    store = operator_store(ledger)
    selected = store.look(ParkedContacts(selection))
    by_reason = Counter(contact["reason"] for contact in selected)
    if not by_reason:
        click.echo(f"No {selection.status} contacts match: nothing was done.")
        return ExitCode.DONE
    if by_reason.total() > 1 and not yes:
        _confirm(verb, by_reason, selection.status)
    done = client.execute(store, ORDERS[verb](selection))
    click.echo(f"{_outcome(verb, done.answer)}, {done.by}.")
    return ExitCode.DONE


def _outcome(verb: str, answer: Mapping[str, Any]) -> str:
    if verb == "drop":
        return f"{formatting.contacts(answer['dropped'])} dropped"
    text = f"{formatting.contacts(answer['ready'] + answer['in_doubt'])} replayed"
    if answer["in_doubt"]:
        text += f" ({answer['in_doubt']:,} of them in doubt: first the platform is asked)"
    return text


def _confirm(verb: str, by_reason: Counter[str], status: Status) -> None:
    """Let a person type how many contacts are selected.

    Raises:
        click.UsageError: there is no terminal to ask at.
        click.Abort: another number was typed.

    """
    number = by_reason.total()
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(by_reason.items()))
    matching = (
        f"{formatting.plural(number, f'{status} contact')} {'matches' if number == 1 else 'match'}"
    )
    if not _at_terminal():
        raise click.UsageError(
            f"{matching} ({reasons}); add --yes to {verb} them all, "
            "or select fewer with --reason, --older-than, --limit or their keys"
        )
    click.echo(f"{matching} ({reasons}).")
    if click.prompt(f"Type their number to {verb} them", type=int) != number:
        raise click.Abort


def _at_terminal() -> bool:
    return sys.stdin.isatty()
