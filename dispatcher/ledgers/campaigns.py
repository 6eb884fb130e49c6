"""A campaign that stands still because a person said so; it is kept over restarts."""

import sqlite3

from dispatcher.ledgers.statements import SQL


def pause(connection: sqlite3.Connection, campaign: int, now: float) -> float:
    """Pause the campaign from ``now`` on; return since when it is paused.

    One that is paused stays so. Times are seconds since the epoch.
    """
    connection.execute(SQL["pause"], (now, campaign))
    return paused_since(connection, campaign) or now


def resume(connection: sqlite3.Connection, campaign: int) -> float | None:
    """Let the campaign go on; return since when it was paused, None if it was not."""
    since = paused_since(connection, campaign)
    connection.execute(SQL["resume"], (campaign,))
    return since


def paused_since(connection: sqlite3.Connection, campaign: int) -> float | None:
    """Return since when the campaign is paused, None if it is not."""
    row = connection.execute(SQL["paused_at"], (campaign,)).fetchone()
    return None if row is None or row[0] is None else float(row[0])
