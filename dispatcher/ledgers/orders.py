"""Orders of an operator and questions, each in one transaction."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dispatcher.ledgers import campaigns
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.read.contact_history import describe_contact
from dispatcher.ledgers.read.status import campaign_statuses
from dispatcher.ledgers.spellings import spellings
from dispatcher.ledgers.statements import SQL, json_list
from dispatcher.ledgers.write import claims
from dispatcher.ledgers.write.in_doubt import unsettled_elsewhere
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
from dispatcher.ports.questions import (
    CampaignNames,
    DoubtsElsewhere,
    HistoryOf,
    LeasesNow,
    ParkedContact,
    ParkedContacts,
    Question,
    StandbyCount,
    StatusOf,
)

A = TypeVar("A")


def carry_out(connection: sqlite3.Connection, order: Order, now: float) -> OrderAnswer:
    """Carry out an order; ``now`` is in seconds since the epoch.

    Raises:
        CommandError: the order is wrong, or only a run can carry it out.

    """
    match order:
        case ReplayOrder(selection):
            return claims.replay(connection, _selected_ids(connection, selection), now)
        case DropOrder(selection):
            values = {"now": now, "ids": json_list(_selected_ids(connection, selection))}
            return {"dropped": connection.execute(SQL["drop"], values).rowcount}
        case PauseOrder(campaign):
            found = find_campaigns(connection, campaign)
            since = {name: campaigns.pause(connection, id_, now) for name, id_ in found.items()}
            return {"paused": since}
        case ResumeOrder(campaign):
            found = find_campaigns(connection, campaign)
            paused = {name: campaigns.resume(connection, id_) for name, id_ in found.items()}
            return {"resumed": {name: since for name, since in paused.items() if since is not None}}
        case ApproveOrder():
            raise CommandError(
                "no dispatcher is running on this ledger, so none is halted; if most contacts are "
                "refused for reasons of their own, run with --accept-suspicious and the cause that "
                "the halted run has named in its log"
            )


def answer_question(connection: sqlite3.Connection, question: Question[A]) -> A:
    """Return the answer to a question.

    Raises:
        CommandError: the question names something that the ledger does not have.

    """
    found: A = _ANSWERS[type(question)](connection, question)
    return found


def select_replayable(connection: sqlite3.Connection, selection: Selection) -> list[ParkedContact]:
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


def _selected_ids(connection: sqlite3.Connection, selection: Selection) -> list[int]:
    return [contact["id"] for contact in select_replayable(connection, selection)]


_ANSWERS: Mapping[type[Question[Any]], Callable[[sqlite3.Connection, Any], Any]] = {
    CampaignNames: lambda connection, question: list(find_campaigns(connection, question.campaign)),
    StatusOf: lambda connection, question: campaign_statuses(
        connection, question.campaign, question.now
    ),
    ParkedContacts: lambda connection, question: select_replayable(connection, question.selection),
    HistoryOf: describe_contact,
    DoubtsElsewhere: lambda connection, question: unsettled_elsewhere(
        connection, question.campaigns
    ),
    StandbyCount: lambda _connection, _question: 0,
    LeasesNow: lambda _connection, _question: (),  # the lock of the file is all there is
}
"""What answers each kind of question."""
