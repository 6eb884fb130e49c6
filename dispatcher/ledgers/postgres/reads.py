"""What a run reads about a campaign and its contacts, each in one short statement."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dispatcher.domain.contact_history import MILLISECONDS
from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.ledgers.codec import person_hash
from dispatcher.ledgers.doubt_rows import effects_of, in_doubt_contact
from dispatcher.ledgers.postgres.migrations import script
from dispatcher.ledgers.postgres.text import dumps, loads
from dispatcher.ledgers.statements import by_name
from dispatcher.ports import InDoubtContact, KnownEffects, Waits

if TYPE_CHECKING:
    from psycopg import Connection

READS = by_name(script("reads.sql"))
MOST_WAITS = 200_000
"""Contacts that are read at most to find out why they wait."""


def fetch(
    connection: "Connection[Any]", name: str, values: Sequence[Any] | Mapping[str, Any]
) -> Any:
    """Return the JSON value that a statement of ``reads.sql`` selects; an empty list for none."""
    row = connection.execute(READS[name], values).fetchone()
    return loads(row[0]) if row and row[0] is not None else []


def due_in_doubt(
    connection: "Connection[Any]", campaign: int, limit: int, now: float
) -> list[InDoubtContact]:
    """Return contacts in doubt whose look back is due at ``now``, the earliest due first."""
    return [
        in_doubt_contact(row) for row in fetch(connection, "due_doubts", (campaign, now, limit))
    ]


def look_back_times(connection: "Connection[Any]", campaign: int, limit: int) -> list[float]:
    """Return when up to ``limit`` contacts in doubt are due for a look, the earliest first."""
    return [float(at) for at in fetch(connection, "look_back_times", (campaign, limit))]


def recent_conversations(
    connection: "Connection[Any]", campaign: int, now: float, limit: int
) -> list[str]:
    """Return conversations of which the platform may have new records; see `Ledger`."""
    waiting = fetch(connection, "waiting_conversations", (campaign, now, limit))
    delivered = fetch(connection, "delivered_conversations", (limit,))
    return list(dict.fromkeys([*waiting, *delivered]))


def known_effects(
    connection: "Connection[Any]",
    conversations: Sequence[str],
    since: float,
    external_contact_ids: Sequence[str] = (),
) -> KnownEffects:
    """Return what is known about conversations and people; see `Ledger`."""
    listed = dumps(list(conversations))
    links = fetch(connection, "sent_messages_of", (since, listed))
    sends = fetch(connection, "unsettled_of", {"listed": listed})
    if external_contact_ids:
        hashes = dumps([person_hash(id_) for id_ in external_contact_ids])
        sends += fetch(connection, "unsettled_with", (hashes,))
    return effects_of(links, sends)


def witnesses(connection: "Connection[Any]", after: float, limit: int) -> list[DeliveryWitness]:
    """Return the first messages that the platform took after a time."""
    return [DeliveryWitness(*row) for row in fetch(connection, "witnesses", (after, limit))]


def earlier_waits(
    connection: "Connection[Any]", campaign: int, now: float, opened: float, last_id: int
) -> Sequence[Waits]:
    """Return why contacts wait that were admitted and put off before ``opened``."""
    values = {
        "campaign": campaign,
        "now": now,
        "before": int(opened * MILLISECONDS),
        "last_id": last_id,
        "most": MOST_WAITS,
    }
    return [Waits(*row) for row in fetch(connection, "earlier_waits", values)]


def last_id(connection: "Connection[Any]") -> int:
    """Return the highest id of a contact; 0 if there is none."""
    row = connection.execute(READS["last_id"]).fetchone()
    return int(row[0]) if row else 0
