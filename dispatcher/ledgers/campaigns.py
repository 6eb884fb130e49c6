"""Campaigns of a ledger: finding them by name, and their pause flag, which survives restarts."""

import sqlite3
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import CommandError


def campaign_ids(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the ids of all campaigns by name, in the order in which they were added."""
    return dict(connection.execute(SQL["campaigns"]).fetchall())


def find_campaigns(
    connection: sqlite3.Connection, name: str | None, path: Path | None = None
) -> dict[str, int]:
    """Return the id of one campaign by its name, or with None those of all campaigns.

    Raises:
        CommandError: there is no such campaign, and no ``path`` was passed.
        LedgerError: there is no such campaign in the ledger at ``path``.

    """
    known = campaign_ids(connection)
    if name is None:
        return known
    if name in known:
        return {name: known[name]}
    names = ", ".join(known) or "none"
    if path is None:
        raise CommandError(f"campaign {name!r} is not in the ledger; it holds: {names}")
    raise ledger_error(path, f"campaign {name!r} is not in it; it holds: {names}")


def ensure_campaign(connection: sqlite3.Connection, name: str, now: float) -> int:
    """Return the id of a campaign. Add the campaign if the ledger does not have it."""
    known = campaign_ids(connection).get(name)
    if known is None:
        return int(connection.execute(SQL["add_campaign"], (name, now)).lastrowid or 0)
    return known


def pause(connection: sqlite3.Connection, campaign: int, now: float) -> float:
    """Pause a campaign and return since when it is paused, in seconds since the epoch.

    If it is paused already, the earlier time stays.
    """
    connection.execute(SQL["pause"], (now, campaign))
    return paused_since(connection, campaign) or now


def resume(connection: sqlite3.Connection, campaign: int) -> float | None:
    """Resume a campaign. Return since when it was paused, or None if it was not."""
    since = paused_since(connection, campaign)
    connection.execute(SQL["resume"], (campaign,))
    return since


def paused_since(connection: sqlite3.Connection, campaign: int) -> float | None:
    """Return since when a campaign is paused, or None if it is not."""
    row = connection.execute(SQL["paused_at"], (campaign,)).fetchone()
    return row[0] if row else None
