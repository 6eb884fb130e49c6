"""How campaigns stand, as plain values: what a daemon tells and what a program reads."""

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers import campaigns, operator_commands
from dispatcher.ledgers import totals as sums
from dispatcher.ports import Backlog, Totals

_NOT_FINAL = "not_final"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one campaign stands; ``paused_since`` is in seconds since the epoch."""

    campaign: str
    totals: Totals
    backlog: Backlog
    paused_since: float | None = None


def campaign_statuses(
    connection: sqlite3.Connection, campaign: str | None, now: float
) -> list[dict[str, Any]]:
    """Return how one campaign or all stand, as plain values.

    Raises:
        OrderError: the campaign is not in the ledger.

    """
    return [
        as_json(
            Standing(
                name,
                sums.campaign_totals(connection, id_),
                sums.backlog(connection, id_, now),
                campaigns.paused_since(connection, id_),
            )
        )
        for id_, name in operator_commands.campaigns(connection, campaign)
    ]


def as_json(standing: Standing) -> dict[str, Any]:
    """Return a campaign's standing as plain values."""
    totals = standing.totals
    statuses: dict[str, dict[str, int]] = {}
    for (status, reason), number in totals.by_status.items():
        statuses.setdefault(status, {})[reason or _NOT_FINAL] = number
    return {
        "campaign": standing.campaign,
        "rows": {
            "read": totals.rows,
            "admitted": totals.admitted,
            "duplicates": totals.duplicates,
            "rejected": dict(totals.rejected),
            "filtered": totals.filtered,
        },
        "contacts": statuses,
        "backlog": asdict(standing.backlog),
        "paused_since": standing.paused_since,
    }


def of_json(told: Mapping[str, Any]) -> Standing:
    """Read a standing back from its plain values."""
    rows = told["rows"]
    by_status = {
        (Status(status), None if reason == _NOT_FINAL else Reason(reason)): number
        for status, reasons in told["contacts"].items()
        for reason, number in reasons.items()
    }
    return Standing(
        told["campaign"],
        Totals(
            rows=rows["read"],
            admitted=rows["admitted"],
            duplicates=rows["duplicates"],
            filtered=rows["filtered"],
            rejected=rows["rejected"],
            by_status=by_status,
        ),
        Backlog(**told["backlog"]),
        told["paused_since"],
    )
