"""Commands of an operator, each carried out in one transaction.

A running dispatcher executes them in its writer's thread (`execute`); if none runs, they are
executed under the ledger's lock (`execute_exclusively`).
"""

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from dispatcher.domain.status import REPLAYABLE, Reason, Status
from dispatcher.ledgers import campaigns
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.errors import CommandError
from dispatcher.ledgers.exclusive import exclusive_connection, transaction
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.read.reader import snapshot_connection
from dispatcher.ledgers.read.status import campaign_statuses, to_json
from dispatcher.ledgers.spellings import spellings
from dispatcher.ledgers.statements import SQL, json_list
from dispatcher.ledgers.write import claims

CommandAnswer = dict[str, object]
"""The result of a command, as JSON values."""

ParkedContact = dict[str, Any]
"""The columns of the statement ``parked`` by name: ids, reason and counts, never a message."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects parked contacts, or rejected ones (``status``).

    ``campaign`` and ``reason`` None select all. ``before`` is in seconds since the epoch and
    excludes what was parked later. ``names`` are contact keys, conversation ids or external
    contact ids; empty selects all. ``limit`` selects the first ones in the order of admission.
    """

    before: float
    campaign: str | None = None
    reason: Reason | None = None
    names: tuple[str, ...] = ()
    limit: int | None = None
    status: Status = Status.PARKED

    @classmethod
    def from_dict(cls, command: Mapping[str, Any]) -> Self:
        """Read a selection from the JSON values of a command.

        Raises:
            CommandError: a value is missing, unknown, or of the wrong type.

        """
        unknown = set(command) - set(cls.__slots__)
        if unknown:
            raise CommandError(f"not known: {', '.join(sorted(unknown))}")
        before, limit = command.get("before"), command.get("limit")
        if not isinstance(before, int | float):
            raise CommandError("before: needs a time in seconds since the epoch")
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise CommandError("limit: needs a number from 1 on")
        names, campaign = command.get("names", ()), command.get("campaign")
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise CommandError("names: needs a list of strings")
        if campaign is not None and not isinstance(campaign, str):
            raise CommandError("campaign: needs a string")
        reason, status = _reason(command.get("reason")), command.get("status", Status.PARKED)
        if status not in REPLAYABLE:
            raise CommandError(f"status: needs one of {', '.join(sorted(REPLAYABLE))}")
        return cls(float(before), campaign, reason, tuple(names), limit, Status(status))

    def to_dict(self) -> dict[str, Any]:
        """Return the selection as the JSON values of a command."""
        return asdict(self)


def _reason(value: object) -> Reason | None:
    if value is None:
        return None
    try:
        return Reason(str(value))
    except ValueError:
        raise CommandError(
            f"reason: {value} is not known; the reasons are: {', '.join(Reason)}"
        ) from None


def select_parked(connection: sqlite3.Connection, selection: Selection) -> list[ParkedContact]:
    """Return the selected contacts, by campaign and in the order of their admission.

    Raises:
        CommandError: the campaign is not in the ledger.

    """
    values = {
        "campaigns": json_list(find_campaigns(connection, selection.campaign).values()),
        "reason": selection.reason,
        "before": selection.before,
        "names": json_list(form for name in selection.names for form in spellings(name))
        if selection.names
        else None,
        "limit": -1 if selection.limit is None else selection.limit,
    }
    rows = connection.execute(SQL[selection.status], values)
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def read_parked(path: Path, selection: Selection) -> list[ParkedContact]:
    """Return the selected contacts of the ledger at ``path`` as `select_parked` does.

    Raises:
        CommandError: the campaign is not in the ledger.
        LedgerError: there is no ledger, or it cannot be read.

    """
    with snapshot_connection(path) as connection:
        return select_parked(connection, selection)


def _selected_ids(connection: sqlite3.Connection, command: Mapping[str, Any]) -> list[int]:
    return [contact["id"] for contact in select_parked(connection, Selection.from_dict(command))]


def replay(connection: sqlite3.Connection, command: Mapping[str, Any], now: float) -> CommandAnswer:
    """Put the selected contacts back: in doubt if they were parked in doubt, else ready."""
    return {**claims.replay(connection, _selected_ids(connection, command), now)}


def drop(connection: sqlite3.Connection, command: Mapping[str, Any], now: float) -> CommandAnswer:
    """Settle parked contacts as skipped with reason ``dropped``, and remove their messages."""
    values = {"now": now, "ids": json_list(_selected_ids(connection, command))}
    return {"dropped": connection.execute(SQL["drop"], values).rowcount}


def pause(connection: sqlite3.Connection, command: Mapping[str, Any], now: float) -> CommandAnswer:
    """Pause the campaign that the command names, or all."""
    found = find_campaigns(connection, command.get("campaign"))
    return {"paused": {name: campaigns.pause(connection, id_, now) for name, id_ in found.items()}}


def resume(
    connection: sqlite3.Connection, command: Mapping[str, Any], _now: float
) -> CommandAnswer:
    """Resume the campaign that the command names, or all that are paused."""
    found = find_campaigns(connection, command.get("campaign"))
    paused = {name: campaigns.resume(connection, id_) for name, id_ in found.items()}
    return {"resumed": {name: since for name, since in paused.items() if since is not None}}


def approve(
    _connection: sqlite3.Connection, _command: Mapping[str, Any], _now: float
) -> CommandAnswer:
    """Refuse: only a running dispatcher knows what it halted for."""
    raise CommandError(
        "no dispatcher is running on this ledger, so none is halted; if most contacts are "
        "refused for reasons of their own, run with --accept-suspicious and the cause that the "
        "halted run has named in its log"
    )


COMMANDS: Mapping[str, Callable[[sqlite3.Connection, Mapping[str, Any], float], CommandAnswer]] = {
    "replay": replay,
    "drop": drop,
    "pause": pause,
    "resume": resume,
    "approve": approve,
}
"""All commands by name. The last argument is the time in seconds since the epoch."""


def execute_exclusively(path: Path, name: str, command: Mapping[str, Any]) -> CommandAnswer:
    """Carry out one of `COMMANDS` in a ledger that no dispatcher uses.

    Raises:
        CommandError: the command is wrong; nothing was changed.
        LedgerLockedError: a dispatcher has locked the ledger.
        LedgerError: there is no ledger, or it cannot be written.

    """
    with exclusive_connection(path) as connection, transaction(connection):
        return COMMANDS[name](connection, command, time.time())


async def execute(ledger: SqliteLedger, name: str, command: Mapping[str, Any]) -> CommandAnswer:
    """Carry out one of `COMMANDS` in an open ledger.

    Raises:
        CommandError: the command is wrong; nothing was changed.

    """
    run = COMMANDS[name]
    return await ledger.job(lambda connection: run(connection, command, time.time()))


async def statuses(ledger: SqliteLedger, campaign: str | None) -> list[dict[str, Any]]:
    """Return the status of one campaign or of all, as JSON values.

    Raises:
        CommandError: the campaign is not in the ledger.

    """
    found = await ledger.job(partial(campaign_statuses, campaign=campaign, now=time.time()))
    return [to_json(status) for status in found]


async def campaign_names(ledger: SqliteLedger, campaign: str | None) -> list[str]:
    """Return the name of one campaign, or those of all.

    Raises:
        CommandError: the campaign is not in the ledger.

    """
    return list(await ledger.job(partial(find_campaigns, name=campaign)))
