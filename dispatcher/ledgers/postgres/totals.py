"""Totals, backlog and streams of a campaign; their cost does not grow with settled contacts."""

from typing import TYPE_CHECKING, Any

from dispatcher.domain.doubts import Doubts
from dispatcher.ledgers.counts import CampaignSums, backlog_from, totals_of
from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_all, fetch_row
from dispatcher.ports import Backlog, Stream, Totals
from dispatcher.ports.questions import CampaignStatus

if TYPE_CHECKING:
    from psycopg import Connection


def campaign_totals(connection: "Connection[Any]", campaign: int) -> Totals:
    """Return the totals of a campaign; call it in a snapshot."""
    values = {"campaign": campaign}
    *sums, rejected, settled = fetch_row(connection, QUESTIONS["sums"], values)
    started = dict(fetch_all(connection, QUESTIONS["count_started"], values))
    return totals_of(CampaignSums(*sums), rejected, settled, started)


def count_due(connection: "Connection[Any]", campaign: int, now: float) -> int:
    """Return how many contacts are due at ``now`` (seconds since the epoch)."""
    (due,) = fetch_row(connection, QUESTIONS["count_due"], {"campaign": campaign, "now": now})
    return int(due)


def backlog_of(
    connection: "Connection[Any]", campaign: int, now: float, sums: Totals, due: int
) -> Backlog:
    """Return the backlog of a campaign, with totals and the number of due contacts.

    All of them should be of the same moment; ``now`` is in seconds since the epoch.
    """
    values = {"campaign": campaign, "now": now}
    return backlog_from(sums, due, *fetch_row(connection, QUESTIONS["due_times"], values))


def doubts(connection: "Connection[Any]", campaign: int) -> Doubts | None:
    """Return what is known of the campaign's contacts in doubt; None if there are none."""
    found = fetch_row(connection, QUESTIONS["doubts"], {"campaign": campaign})
    contacts, sent, ended, look = found
    return Doubts(contacts, sent or 0.0, ended, look) if contacts else None


def streams(connection: "Connection[Any]", campaign: int) -> dict[str, Stream]:
    """Return how far each stream was read, by fingerprint."""
    rows = fetch_all(connection, QUESTIONS["streams"], {"campaign": campaign})
    return {row[1]: Stream(*row) for row in rows}


def paused_since(connection: "Connection[Any]", campaign: int) -> float | None:
    """Return since when a campaign is paused, or None if it is not."""
    found = fetch_all(connection, QUESTIONS["paused_at"], {"campaign": campaign})
    return found[0][0] if found else None


def campaign_statuses(
    connection: "Connection[Any]", campaign: str | None, now: float
) -> list[CampaignStatus]:
    """Return the status of one campaign, or of all campaigns in the order they were added.

    ``now`` is in seconds since the epoch. Call it in a snapshot.

    Raises:
        CommandError: the campaign is not in the ledger.

    """
    found = []
    for name, id_ in find_campaigns(connection, campaign).items():
        sums = campaign_totals(connection, id_)
        backlog = backlog_of(connection, id_, now, sums, count_due(connection, id_, now))
        status = paused_since(connection, id_), doubts(connection, id_), streams(connection, id_)
        found.append(CampaignStatus(name, sums, backlog, *status))
    return found
