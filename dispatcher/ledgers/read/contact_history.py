"""The whole story of one contact, as plain values: no text, no subject, no address."""

import sqlite3
from typing import Any

import orjson

from dispatcher.domain.contact_history import MILLISECONDS, OMITTED
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.errors import CommandError
from dispatcher.ledgers.statements import SQL

_REQUEST = ("answer", "means", "state", "correlation_id", "decision")
_OTHERS = {
    "deferred": ("means", "answer"),
    "settled": ("answer", "means"),
    "restart": ("state",),
    "replayed": ("answer", "means"),
    "dropped": ("answer", "means"),
    OMITTED: ("answer",),
}
"""What stands behind the word of an entry, by the word; all others are requests."""


def describe_contact(
    connection: sqlite3.Connection, name: str, campaign: str | None, *, parked_only: bool = False
) -> list[dict[str, Any]]:
    """Return each contact that ``name`` means: a key, a conversation id, an external contact id.

    A key is looked for first; only where there is none, the ids are. Times are in seconds since
    the epoch.

    Raises:
        OrderError: there is none, or the campaign is not in the ledger.

    """
    found: list[dict[str, Any]] = []
    among = orjson.dumps([*find_campaigns(connection, campaign).values()]).decode()
    for query in ("contact_by_key", "contact_by_id"):
        rows = connection.execute(SQL[query], (among, name)).fetchall()
        found = [_contact(connection, row[0]) for row in rows]
        if found:
            break
    meant = [each for each in found if not parked_only or each["status"] == "parked"]
    if not meant:
        where = f"campaign {campaign!r}" if campaign is not None else "the ledger"
        kind = "parked contact" if parked_only else "contact"
        raise CommandError(
            f"no {kind} in {where} has the key, the conversation id or the external contact id "
            f"{name!r}"
        )
    return meant


def _contact(connection: sqlite3.Connection, id_: int) -> dict[str, Any]:
    cursor = connection.execute(SQL["told_contact"], (id_,))
    names = [column[0] for column in cursor.description]
    facts = dict(zip(names, cursor.fetchone(), strict=True))
    progress = orjson.loads(facts.pop("progress") or b"{}")
    story = facts.pop("story")
    facts["attempts"] = progress.get("attempts", 0)
    facts["sends"] = progress.get("sends", 0)
    facts["story"] = [_entry(each) for each in orjson.loads(f"[{story or ''}]")]
    return facts


def _entry(entry: list[Any]) -> dict[str, Any]:
    """Name the parts of an entry."""
    at, word, *parts = entry
    if word in ("claimed", "released"):
        parts = []
    named = {"time": None if at is None else at / MILLISECONDS, "what": word}
    names = _OTHERS.get(word, _REQUEST)
    named.update(zip(names, (part for part in parts), strict=False))
    if word == OMITTED:
        named["answer"] = f"{named['answer']} entries"
    if word == "deferred":
        named["answer"] = f"{named['answer']:g} s"
    return named
