"""The rows of campaigns: added by a run, paused and resumed."""

from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.statements import ORDERS, fetch_row
from dispatcher.ledgers.postgres.text import escaped

if TYPE_CHECKING:
    from psycopg import Connection


def ensure_campaign(connection: "Connection[Any]", name: str, now: float) -> int:
    """Return the id of a campaign. Add the campaign if the ledger does not have it."""
    stored = escaped(name)
    connection.execute(
        "INSERT INTO dispatcher.campaign (name, created_at) SELECT %(name)s, %(now)s "
        "WHERE NOT EXISTS (SELECT 1 FROM dispatcher.campaign WHERE name = %(name)s) "
        "ON CONFLICT (name) DO NOTHING",
        {"name": stored, "now": now},
    )
    row = connection.execute(
        "SELECT id FROM dispatcher.campaign WHERE name = %s", (stored,)
    ).fetchone()
    assert row is not None  # noqa: S101 - it was added
    return int(row[0])


def pause(connection: "Connection[Any]", campaign: int, now: float) -> float:
    """Pause a campaign and return since when it is paused, in seconds since the epoch.

    If it is paused already, the earlier time stays.
    """
    since: float = fetch_row(connection, ORDERS["pause"], {"campaign": campaign, "now": now})[0]
    return since


def resume(connection: "Connection[Any]", campaign: int) -> float | None:
    """Resume a campaign. Return since when it was paused, or None if it was not."""
    since: float | None = fetch_row(connection, ORDERS["resume"], {"campaign": campaign})[0]
    return since
