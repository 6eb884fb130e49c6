"""Reads the status of campaigns."""

import sqlite3

from dispatcher.ledgers import totals
from dispatcher.ledgers.campaigns import find_campaigns, paused_since
from dispatcher.ports.questions import CampaignStatus


def campaign_statuses(
    connection: sqlite3.Connection, campaign: str | None, now: float
) -> list[CampaignStatus]:
    """Return the status of one campaign, or of all campaigns in the order they were added.

    ``now`` is in seconds since the epoch.

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
