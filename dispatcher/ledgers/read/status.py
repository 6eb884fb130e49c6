"""The status of campaigns: its model, how it is read, and its JSON form."""

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.domain.doubts import Doubts
from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers import totals
from dispatcher.ledgers.campaigns import find_campaigns, paused_since
from dispatcher.ledgers.read.reader import snapshot_connection
from dispatcher.ports import Backlog, Stream, Totals

_NOT_FINAL = "not_final"


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """The status of one campaign at one moment.

    ``paused_since`` is in seconds since the epoch. ``doubts`` is None if no contact is in doubt.
    ``streams`` show how far each one was read, by fingerprint; the JSON form omits them.
    """

    campaign: str
    totals: Totals
    backlog: Backlog
    paused_since: float | None = None
    doubts: Doubts | None = None
    streams: Mapping[str, Stream] = field(default_factory=dict)


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


def to_json(status: CampaignStatus) -> dict[str, Any]:
    """Return the JSON form of a campaign's status."""
    sums = status.totals
    contacts: dict[str, dict[str, int]] = {}
    for (state, reason), number in sums.by_status.items():
        contacts.setdefault(state, {})[reason or _NOT_FINAL] = number
    values = {
        "campaign": status.campaign,
        "rows": {
            "read": sums.rows,
            "admitted": sums.admitted,
            "duplicates": sums.duplicates,
            "rejected": dict(sums.rejected),
            "filtered": sums.filtered,
        },
        "contacts": contacts,
        "backlog": _backlog_to_json(status.backlog),
        "paused_since": status.paused_since,
    }
    return values if status.doubts is None else {**values, "in_doubt": asdict(status.doubts)}


def _backlog_to_json(backlog: Backlog) -> dict[str, Any]:
    names = {"claimed_or_sending": "busy"}
    return {names.get(name, name): value for name, value in asdict(backlog).items()}


def from_json(values: Mapping[str, Any]) -> CampaignStatus:
    """Return the status that `to_json` wrote."""
    rows, backlog = dict(values["rows"]), dict(values["backlog"])
    by_status = {
        (Status(status), None if reason == _NOT_FINAL else Reason(reason)): number
        for status, reasons in values["contacts"].items()
        for reason, number in reasons.items()
    }
    return CampaignStatus(
        values["campaign"],
        Totals(rows=rows.pop("read"), by_status=by_status, **rows),
        Backlog(claimed_or_sending=backlog.pop("busy"), **backlog),
        values["paused_since"],
        doubts_from_json(values),
    )


def doubts_from_json(values: Mapping[str, Any]) -> Doubts | None:
    """Return the contacts in doubt of the status that `to_json` wrote."""
    doubts = values.get("in_doubt")
    return None if doubts is None else Doubts(**doubts)
