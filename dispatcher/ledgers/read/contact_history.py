"""The facts and the history of one contact, as JSON values without text, subject and address."""

import sqlite3
from typing import Any

import orjson

from dispatcher.domain.contact_history import MILLISECONDS, OMITTED
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.errors import CommandError
from dispatcher.ledgers.statements import SQL

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
}
"""Field names by entry type. A type that is not listed here is a request."""


def describe_contact(
    connection: sqlite3.Connection, name: str, campaign: str | None, *, parked_only: bool = False
) -> list[dict[str, Any]]:
    """Return the contacts whose key, conversation id or external contact id is ``name``.

    The ids are compared only if no key is equal. Times are in seconds since the epoch.

    Raises:
        CommandError: there is no such contact, or the campaign is not in the ledger.

    """
    campaigns = orjson.dumps([*find_campaigns(connection, campaign).values()]).decode()
    contacts: list[dict[str, Any]] = []
    for query in ("contact_by_key", "contact_by_id"):
        rows = connection.execute(SQL[query], (campaigns, name)).fetchall()
        contacts = [_contact(connection, row[0]) for row in rows]
        if contacts:
            break
    selected = [contact for contact in contacts if not parked_only or contact["status"] == "parked"]
    if not selected:
        where = f"campaign {campaign!r}" if campaign is not None else "the ledger"
        kind = "parked contact" if parked_only else "contact"
        raise CommandError(
            f"no {kind} in {where} has the key, the conversation id or the external contact id "
            f"{name!r}"
        )
    return selected


def _contact(connection: sqlite3.Connection, id_: int) -> dict[str, Any]:
    cursor = connection.execute(SQL["contact_facts"], (id_,))
    names = [column[0] for column in cursor.description]
    facts = dict(zip(names, cursor.fetchone(), strict=True))
    progress = orjson.loads(facts.pop("progress") or b"{}")
    story = facts.pop("story")
    facts["attempts"] = progress.get("attempts", 0)
    facts["sends"] = progress.get("sends", 0)
    facts["story"] = [_entry(*entry) for entry in orjson.loads(f"[{story or ''}]")]
    return facts


def _entry(at: int | None, what: str, *values: Any) -> dict[str, Any]:
    """Return an entry with the names of its values."""
    entry = {"time": None if at is None else at / MILLISECONDS, "what": what}
    entry.update(zip(_FIELDS.get(what, _REQUEST), values, strict=False))
    if what == OMITTED:
        entry["answer"] = f"{entry['answer']} entries"
    if what == "deferred":
        entry["answer"] = f"{entry['answer']:g} s"
    return entry
