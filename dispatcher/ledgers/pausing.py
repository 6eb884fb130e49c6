"""Whether a campaign is paused: it outlives the daemon."""

import sqlite3

from dispatcher.ledgers.named import SQL


def paused(connection: sqlite3.Connection, campaign: int) -> float | None:
    """Return since when the campaign is paused (seconds since the epoch); None if it is not."""
    since: float | None = connection.execute(SQL["paused_at"], (campaign,)).fetchone()[0]
    return since


def pause(connection: sqlite3.Connection, campaign: int, now: float) -> None:
    """Pause the campaign; one that is paused stays so since then."""
    connection.execute(SQL["pause"], (now, campaign))


def resume(connection: sqlite3.Connection, campaign: int) -> None:
    """Let the campaign go on."""
    connection.execute(SQL["resume"], (campaign,))
