"""The facts and the history of one contact, as JSON values without text, subject and address."""

import sqlite3
from typing import Any

import orjson

from dispatcher.domain.contact_history import MILLISECONDS, OMITTED, UNCHECKED
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.spellings import spellings
from dispatcher.ledgers.statements import SQL, json_list
from dispatcher.ports.orders import CommandError
from dispatcher.ports.questions import HistoryOf

_REQUEST = ("answer", "means", "state", "correlation_id", "decision")
_FIELDS = {
    "claimed": (),
    "released": (),
    "deferred": ("means", "answer"),
    "settled": ("answer", "means"),
    "restart": ("state",),
    "replayed": ("answer", "means"),
    "dropped": ("answer", "means"),
    OMITTED: ("answer",),
    UNCHECKED: ("decision",),
}
"""Field names by entry type. A type that is not listed here is a request."""


def describe_contact(connection: sqlite3.Connection, question: HistoryOf) -> list[dict[str, Any]]:
    """Return the contacts whose key, conversation id or external contact id is ``question.name``.

    The ids are compared only if no key is equal. A UUID may be in any case. Times are in seconds
    since the epoch.

    Raises:
        CommandError: there is no such contact, or the campaign is not in the ledger.

    """
    campaigns = json_list(find_campaigns(connection, question.campaign).values())
    ids = _ids(connection, "contact_by_key", campaigns, question.name)
    ids = ids or _ids(connection, "contact_by_id", campaigns, question.name)
    rows = connection.execute(SQL["contact_facts"], (json_list(ids),))
    names = [column[0] for column in rows.description]
    contacts = [dict(zip(names, row, strict=True)) for row in rows]
    wanted = [fact for fact in contacts if not question.parked_only or fact["status"] == "parked"]
    return with_stories(wanted, question)


def with_stories(contacts: list[dict[str, Any]], question: HistoryOf) -> list[dict[str, Any]]:
    """Return the contacts with their stories as named values, in place of the stored text.

    Raises:
        CommandError: there is no contact.

    """
    if not contacts:
        where = "the ledger" if question.campaign is None else f"campaign {question.campaign!r}"
        kind = "parked contact" if question.parked_only else "contact"
        raise CommandError(
            f"no {kind} in {where} has the key, the conversation id or the external contact id "
            f"{question.name!r}"
        )
    for contact in contacts:
        contact["story"] = [_entry(*entry) for entry in orjson.loads(f"[{contact['story']}]")]
    return contacts


def _ids(connection: sqlite3.Connection, statement: str, campaigns: str, name: str) -> list[int]:
    """Return the ids of the contacts that have the name in one of its spellings, sorted."""
    found = set[int]()
    for spelled in spellings(name):
        found.update(id_ for (id_,) in connection.execute(SQL[statement], (campaigns, spelled)))
    return sorted(found)


def _entry(at: int | None, what: str, *values: Any) -> dict[str, Any]:
    """Return an entry with the names of its values."""
    entry = {"time": None if at is None else at / MILLISECONDS, "what": what}
    entry.update(zip(_FIELDS.get(what, _REQUEST), values, strict=False))
    if what == OMITTED:
        entry["answer"] = f"{entry['answer']} entries"
    if what == UNCHECKED:
        entry["means"] = "no state was read"
    if what == "deferred":
        entry["answer"] = f"{entry['answer']:g} s"
    return entry
