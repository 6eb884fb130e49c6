"""Totals, backlog and streams of a campaign; their cost does not grow with settled contacts."""

import sqlite3

import orjson

from dispatcher.domain.doubts import Doubts
from dispatcher.domain.status import Status
from dispatcher.ledgers.counts import CampaignSums, backlog_from, totals_of
from dispatcher.ledgers.due_count import DueCount
from dispatcher.ledgers.statements import SQL, fetch_json
from dispatcher.ports import Backlog, Stream, Totals


def campaign_totals(connection: sqlite3.Connection, campaign: int) -> Totals:
    """Return the totals of a campaign. A contact is ready if it is neither final nor started."""
    rows, admitted, duplicates, filtered, rejected, settled = connection.execute(
        SQL["sums"], (campaign,)
    ).fetchone()
    started = count_started(connection, campaign)
    counts = CampaignSums(rows, admitted, duplicates, filtered)
    return totals_of(counts, orjson.loads(rejected), orjson.loads(settled), started)


def backlog(connection: sqlite3.Connection, campaign: int, now: float) -> Backlog:
    """Count the contacts that are ready, claimed or sending; ``now``: seconds since the epoch."""
    sums = campaign_totals(connection, campaign)
    return backlog_of(connection, campaign, now, sums, DueCount())


def backlog_of(
    connection: sqlite3.Connection, campaign: int, now: float, sums: Totals, due_count: DueCount
) -> Backlog:
    """Return what `backlog` returns, with totals of the same moment."""
    ready = sums.by_status.get((Status.READY, None), 0)
    due = due_count.count(lambda: _count_due(connection, campaign, now), now, ready)
    (oldest,) = connection.execute(SQL["oldest_due"], (campaign, now)).fetchone()
    (later,) = connection.execute(SQL["next_due"], (campaign, now)).fetchone()
    return backlog_from(sums, due, oldest, later)


def _count_due(connection: sqlite3.Connection, campaign: int, now: float) -> int:
    return int(connection.execute(SQL["count_due"], (campaign, now)).fetchone()[0])


def doubts(connection: sqlite3.Connection, campaign: int) -> Doubts | None:
    """Return what is known of the campaign's contacts in doubt; None if there are none."""
    contacts, sent, ended, look = connection.execute(SQL["doubts"], (campaign,)).fetchone()
    return Doubts(contacts, sent or 0.0, ended, look) if contacts else None


def streams(connection: sqlite3.Connection, campaign: int) -> dict[str, Stream]:
    """Return how far each stream was read, by fingerprint."""
    rows = fetch_json(connection, SQL["streams"], campaign)
    return {
        fingerprint: Stream(name, fingerprint, at, count, bool(done))
        for name, fingerprint, at, count, done in rows
    }


def count_started(connection: sqlite3.Connection, campaign: int) -> dict[str, int]:
    """Count by status the contacts that are neither ready nor final: claimed, sending, in doubt."""
    return dict(fetch_json(connection, SQL["count_started"], campaign))
