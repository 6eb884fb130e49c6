"""Reads the status of campaigns."""

import sqlite3
from pathlib import Path

from dispatcher.ledgers import totals
from dispatcher.ledgers.campaigns import find_campaigns, paused_since
from dispatcher.ledgers.read.reader import snapshot_connection
from dispatcher.ports.questions import CampaignStatus


def read_status(
    path: str | Path, campaign: str | None = None, *, now: float
) -> list[CampaignStatus]:
    """Return the status of one campaign, or of all campaigns in the order they were added.

    Works while a daemon runs and while none does. ``now`` is in seconds since the epoch.

    Raises:
        CommandError: the campaign is not in the ledger.
        LedgerError: there is no ledger, or it cannot be read.

    """
    with snapshot_connection(Path(path)) as connection:
        return campaign_statuses(connection, campaign, now)


def campaign_statuses(
    connection: sqlite3.Connection, campaign: str | None, now: float
) -> list[CampaignStatus]:
    """Return what `read_status` returns, from an open ledger.

    Raises:
        CommandError: the campaign is not in the ledger.

    """
    return [
        CampaignStatus(
            name,
            totals.campaign_totals(connection, id_),
            totals.backlog(connection, id_, now),
            paused_since(connection, id_),
            totals.doubts(connection, id_),
            totals.streams(connection, id_),
        )
        for name, id_ in find_campaigns(connection, campaign).items()
    ]
