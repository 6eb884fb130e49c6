"""The JSON form of a campaign's status, which passes through the control socket."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dispatcher.domain.doubts import Doubts
from dispatcher.domain.status import Reason, Status
from dispatcher.ports import Backlog, Totals
from dispatcher.ports.questions import CampaignStatus

_NOT_FINAL = "not_final"


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
