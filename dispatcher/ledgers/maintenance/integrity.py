"""Integrity checks of a ledger: as a database, and by the rules of the dispatcher."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dispatcher.domain.status import FINAL, Reason, Relation, Status
from dispatcher.ledgers.read.reader import read_connection
from dispatcher.ledgers.statements import CHECKS, json_list
from dispatcher.ports.care import IntegrityFinding

_RESTORE = "keep a copy of the file, and restore the last backup"
REPORT = "stop the run, keep a copy of the file, and report it with the output of this command"
_HARMLESS = "no message depends on it; report it with the output of this command"
_TWICE = "look up both contacts' conversations on the platform before the campaign is run again"

RULES = {
    "status_unknown": ("every status is known", "contacts with an unknown status", REPORT),
    "reason_unknown": ("every reason is known", "contacts with an unknown reason", REPORT),
    "final_without_reason": (
        "every final contact has a reason and a time, and no other one has",
        "final contacts without reason or time, or others with one",
        REPORT,
    ),
    "ready_without_due": (
        "every ready contact has a due time, and no other one has",
        "ready contacts without a due time, or others with one",
        REPORT,
    ),
    "final_with_due": (
        "final contacts have no due time",
        "final contacts with a due time",
        _HARMLESS,
    ),
    "doubt_without_look_at": (
        "every contact in doubt has a time for its look-back request",
        "contacts in doubt without a time for their look-back request",
        REPORT,
    ),
    "sending_without_intent": ("every send has its intent", "sends without intents", REPORT),
    "text_kept": (
        "messages and addresses of final contacts are removed",
        "final contacts that still hold a message or an address",
        REPORT,
    ),
    "text_missing": (
        "every contact to be sent has its message",
        "contacts to be sent without a message",
        REPORT,
    ),
    "json_unreadable": (
        "progress, attributes and stories can be read",
        "contacts whose progress, attributes or story cannot be read",
        REPORT,
    ),
    "lineage_missing": (
        "every delivered contact has its lineage row",
        "delivered contacts without a lineage row",
        REPORT,
    ),
    "lineage_alone": (
        "every lineage row has its delivered contact",
        "lineage rows without a delivered contact, or of an unknown kind",
        REPORT,
    ),
    "message_twice": (
        "every message belongs to one contact",
        "messages that belong to two contacts",
        _TWICE,
    ),
    "person_not_reached": (
        "every person who got a message is marked as reached",
        "delivered contacts whose person is not marked as reached",
        REPORT,
    ),
    "key_twice": (
        "every key is unique in its campaign",
        "contacts whose key another one of their campaign has",
        _TWICE,
    ),
    "settled_sums_differ": (
        "sums of final contacts are correct",
        "campaigns whose sums differ from the count of their contacts",
        _HARMLESS,
    ),
    "admitted_differs": (
        "numbers of admitted contacts are correct",
        "campaigns whose admitted number differs from their contacts",
        REPORT,
    ),
    "rows_differ": (
        "rows add up in every campaign",
        "campaigns whose rows do not add up",
        _HARMLESS,
    ),
    "rejected_sums_differ": (
        "sums of rejected rows are correct",
        "sums of rejected rows that are less than their count",
        _HARMLESS,
    ),
}
"""By check: what holds in an intact ledger, what was counted otherwise, and what to do then."""

KNOWN_VALUES: Mapping[str, Sequence[str]] = {
    "statuses": [*map(str, Status)],
    "reasons": [*map(str, Reason)],
    "final": [*map(str, FINAL)],
    "relations": [*map(str, Relation)],
}
"""What the columns of a sound ledger have."""


def check_integrity(path: Path, *, quick: bool = False) -> Iterator[IntegrityFinding]:
    """Run the checks and yield each finding, whether or not it found anything.

    Works while a daemon runs. With ``quick`` the indexes are not compared with their tables. If
    the file is damaged, no other check is run.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    parameters = {name: json_list(values) for name, values in KNOWN_VALUES.items()}
    with read_connection(path) as connection:
        damage = _damage(connection, quick=quick)
        yield damage
        if not damage.count:
            for name, (sound, meaning, advice) in RULES.items():
                (count,) = connection.execute(CHECKS[name], parameters).fetchone()
                yield IntegrityFinding(name, sound, meaning, count, advice)


def _damage(connection: sqlite3.Connection, *, quick: bool) -> IntegrityFinding:
    pragma = "quick_check" if quick else "integrity_check"
    try:
        rows = [row[0] for row in connection.execute(f"PRAGMA {pragma}(100)")]
    except sqlite3.DatabaseError as error:
        rows = [str(error)]
    count = 0 if rows == ["ok"] else len(rows)
    meaning = "places where the file is damaged"
    return IntegrityFinding("damage", "the file is undamaged", meaning, count, _RESTORE)
