"""Answers to questions, each from one moment."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_all, fetch_named, snapshot
from dispatcher.ledgers.postgres.totals import campaign_statuses
from dispatcher.ledgers.read.contact_history import with_stories
from dispatcher.ledgers.spellings import spellings
from dispatcher.ports import HeldLease, Lease, LeaseKind
from dispatcher.ports.orders import Selection
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

if TYPE_CHECKING:
    from psycopg import Connection

A = TypeVar("A")


def answer_question(connection: "Connection[Any]", question: Question[A]) -> A:
    """Return the answer to a question, from a snapshot of its own.

    Raises:
        CommandError: the question names something that the ledger does not have.

    """
    with snapshot(connection):
        found: A = _ANSWERS[type(question)](connection, question)
    return found


def select_replayable(connection: "Connection[Any]", selection: Selection) -> list[ParkedContact]:
    """Return the selected contacts, by campaign and in the order of their admission.

    Raises:
        CommandError: the campaign is not in the ledger.

    """
    values = {
        "campaigns": list(find_campaigns(connection, selection.campaign).values()),
        "status": str(selection.status),
        "reason": selection.reason and str(selection.reason),
        "before": selection.before,
        "names": [form for name in selection.names for form in spellings(name)] or None,
        "limit": selection.limit,
    }
    return list(fetch_named(connection, QUESTIONS["parked"], values))


def _history(connection: "Connection[Any]", question: HistoryOf) -> list[dict[str, Any]]:
    """Return the contacts with a key, or else with an id; see `HistoryOf`."""
    campaigns = list(find_campaigns(connection, question.campaign).values())
    values: dict[str, Any] = {"campaigns": campaigns, "names": list(spellings(question.name))}
    ids = fetch_all(connection, QUESTIONS["contact_by_key"], values)
    ids = ids or fetch_all(connection, QUESTIONS["contact_by_id"], values)
    facts = {"ids": [id_ for (id_,) in ids]}
    contacts = fetch_named(connection, QUESTIONS["contact_facts"], facts)
    wanted = [fact for fact in contacts if not question.parked_only or fact["status"] == "parked"]
    return with_stories(wanted, question)


def _doubts_elsewhere(connection: "Connection[Any]", question: DoubtsElsewhere) -> dict[str, int]:
    values = {"names": list(question.campaigns)}
    return dict(fetch_all(connection, QUESTIONS["doubts_elsewhere"], values))


def _leases(connection: "Connection[Any]", _: LeasesNow) -> list[HeldLease]:
    rows = fetch_all(connection, QUESTIONS["leases"])
    return [HeldLease(Lease(LeaseKind(kind), name), *rest) for kind, name, *rest in rows]


_ANSWERS: Mapping[type[Question[Any]], Callable[["Connection[Any]", Any], Any]] = {
    CampaignNames: lambda connection, question: list(find_campaigns(connection, question.campaign)),
    StatusOf: lambda connection, question: campaign_statuses(
        connection, question.campaign, question.now
    ),
    ParkedContacts: lambda connection, question: select_replayable(connection, question.selection),
    HistoryOf: _history,
    DoubtsElsewhere: _doubts_elsewhere,
    LeasesNow: _leases,
    StandbyCount: lambda connection, _: int(fetch_all(connection, QUESTIONS["standbys"])[0][0]),
}
"""What answers each kind of question."""
