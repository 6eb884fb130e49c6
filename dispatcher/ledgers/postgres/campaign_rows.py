"""The rows of campaigns: added by a run, paused and resumed."""

from typing import TYPE_CHECKING, Any

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
    row = connection.execute(
        "UPDATE dispatcher.campaign SET paused_at = COALESCE(paused_at, %s) WHERE id = %s "
        "RETURNING paused_at",
        (now, campaign),
    ).fetchone()
    return float(row[0]) if row else now


def resume(connection: "Connection[Any]", campaign: int) -> float | None:
    """Resume a campaign. Return since when it was paused, or None if it was not."""
    row = connection.execute(
        "UPDATE dispatcher.campaign SET paused_at = NULL FROM ("
        "SELECT paused_at FROM dispatcher.campaign WHERE id = %(id)s) AS earlier "
        "WHERE id = %(id)s AND earlier.paused_at IS NOT NULL RETURNING earlier.paused_at",
        {"id": campaign},
    ).fetchone()
    return row[0] if row else None
