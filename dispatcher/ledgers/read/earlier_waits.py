"""Why contacts wait that an earlier run has put off."""

from collections.abc import Sequence
from pathlib import Path

from dispatcher.domain.contact_history import MILLISECONDS
from dispatcher.ledgers.read.reader import snapshot_connection
from dispatcher.ledgers.statements import SQL, fetch_json_named
from dispatcher.ports import Waits

MOST_CONTACTS = 200_000
"""Contacts that are read at most: so many take one or two seconds."""


def earlier_waits(
    path: Path, campaign: int, now: float, opened: float, last_id: int
) -> Sequence[Waits]:
    """Return why contacts wait that were admitted and put off before ``opened``.

    ``last_id`` was the highest id of a contact then. Times are in seconds since the epoch.

    Raises:
        LedgerError: it cannot be read.

    """
    values = {
        "campaign": campaign,
        "now": now,
        "before": int(opened * MILLISECONDS),
        "last_id": last_id,
        "most": MOST_CONTACTS,
    }
    with snapshot_connection(path) as connection:
        return [Waits(*row) for row in fetch_json_named(connection, SQL["earlier_waits"], values)]
