"""Orders of an operator, each in one transaction of the caller."""

from typing import TYPE_CHECKING, Any

from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.postgres import campaign_rows
from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.questions import select_replayable
from dispatcher.ledgers.postgres.statements import ORDERS, execute, fetch_all
from dispatcher.ports.orders import (
    ApproveOrder,
    CommandError,
    DropOrder,
    Order,
    OrderAnswer,
    PauseOrder,
    ReplayOrder,
    ResumeOrder,
    Selection,
)

if TYPE_CHECKING:
    from psycopg import Connection

_Sum = tuple[int, str, str, int]
"""A campaign, a final status, its reason, and a number of contacts."""

NOBODY = 0
"""The number of no run."""


def carry_out(
    connection: "Connection[Any]", order: Order, now: float, me: int = NOBODY
) -> OrderAnswer:
    """Carry out an order, and let other runs than ``me`` look for it; commit it afterwards.

    ``now`` is in seconds since the epoch.

    Raises:
        CommandError: the order is wrong, or only a run can carry it out.

    """
    match order:
        case ReplayOrder(selection):
            return _replay(connection, selection, now, me)
        case DropOrder(selection):
            return _drop(connection, selection, now, me)
        case PauseOrder(campaign):
            found = find_campaigns(connection, campaign)
            nudge(connection, me)  # first: a commit of a run locks its own row before a campaign
            since = {n: campaign_rows.pause(connection, id_, now) for n, id_ in found.items()}
            return {"paused": since}
        case ResumeOrder(campaign):
            found = find_campaigns(connection, campaign)
            nudge(connection, me)
            paused = {n: campaign_rows.resume(connection, id_) for n, id_ in found.items()}
            return {"resumed": {name: since for name, since in paused.items() if since is not None}}
        case ApproveOrder():
            raise CommandError(
                "no dispatcher is running on this ledger, so none is halted; if most contacts are "
                "refused for reasons of their own, run with --accept-suspicious and the cause that "
                "the halted run has named in its log"
            )


def nudge(connection: "Connection[Any]", me: int = NOBODY) -> None:
    """Let all other runs look for what has changed, with their next commit or heartbeat."""
    execute(connection, ORDERS["nudge"], {"me": me})


def _replay(
    connection: "Connection[Any]", selection: Selection, now: float, me: int
) -> OrderAnswer:
    values = {"ids": _selected_ids(connection, selection), "now": now}
    in_doubt: list[_Sum] = fetch_all(connection, ORDERS["replay_in_doubt"], values)
    ready: list[_Sum] = fetch_all(connection, ORDERS["replay_ready"], values)
    nudge(connection, me)
    add_to_sums(connection, [_less(row) for row in (*in_doubt, *ready)])
    return {"ready": _count(ready), "in_doubt": _count(in_doubt)}


def _drop(connection: "Connection[Any]", selection: Selection, now: float, me: int) -> OrderAnswer:
    values = {"ids": _selected_ids(connection, selection), "now": now}
    dropped: list[_Sum] = fetch_all(connection, ORDERS["drop"], values)
    nudge(connection, me)
    more = [(row[0], str(Status.SKIPPED), str(Reason.DROPPED), row[3]) for row in dropped]
    add_to_sums(connection, [*map(_less, dropped), *more])
    return {"dropped": _count(dropped)}


def _selected_ids(connection: "Connection[Any]", selection: Selection) -> list[int]:
    return [contact["id"] for contact in select_replayable(connection, selection)]


def _less(row: _Sum) -> _Sum:
    campaign, status, reason, number = row
    return campaign, status, reason, -number


def _count(rows: list[_Sum]) -> int:
    return sum(row[3] for row in rows)


def add_to_sums(connection: "Connection[Any]", rows: list[_Sum]) -> None:
    """Add numbers, which may be below 0, to the sums of final contacts; do it last."""
    if rows:
        names = ("campaigns", "statuses", "reasons", "contacts")
        values = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        execute(connection, ORDERS["add_to_sums"], values)
