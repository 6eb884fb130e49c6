"""The status of campaigns, from the running dispatcher or the ledger."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dispatcher.app.control import client
from dispatcher.app.control.status_json import to_json
from dispatcher.app.leadership import held_json
from dispatcher.app.store import operator_store
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.ports.questions import CampaignStatus, LeasesNow, StatusOf
from dispatcher.settings import LedgerPlace

REQUESTS_PER_CONTACT = 2.0
"""Assumed until a run has a figure of its own."""

StatusReport = Mapping[str, Any]
"""The status as JSON values: what --json prints."""


def read_status(
    ledger: LedgerPlace, campaign: str | None, quota: float | None = None,
    policy: ReconcilePolicy | None = None,
) -> StatusReport:  # fmt: skip
    """Return the status of a ledger's campaigns.

    ``quota`` is in requests per second; ``policy`` is what is assumed of sends in doubt. A running
    dispatcher has its own.

    Raises:
        CommandError: the campaign is not in the ledger.
        LedgerError: there is no ledger, or it cannot be read.

    """
    store = operator_store(ledger)
    answer = client.running_status(store, campaign)
    if answer is not None:
        run: StatusReport | None = answer["run"]
        campaigns, source = answer["campaigns"], f"dispatcher {answer['pid']}"
        quota = answer["run"]["requests_per_second"]
    else:
        run, source = None, "ledger"
        found = store.look(StatusOf(campaign, time.time()))
        campaigns = [to_json(_with_assumptions(item, policy)) for item in found]
    unfinished = ("due", "later", "busy")
    remaining = sum(
        int(status_of["backlog"][name]) for status_of in campaigns for name in unfinished
    )
    requests_per_contact = _requests_per_contact(run)
    leases = [held_json(one) for one in store.look(LeasesNow())]
    return {
        "source": source,
        "campaigns": campaigns,
        "left": remaining,
        "requests_per_contact": round(requests_per_contact, 2),
        "requests_per_second": quota,
        "eta_seconds": round(remaining * requests_per_contact / quota, 1) if quota else None,
        "run": run,
        "leases": leases,
    }


def _with_assumptions(campaign: CampaignStatus, policy: ReconcilePolicy | None) -> CampaignStatus:
    if campaign.doubts is None or policy is None:
        return campaign
    return replace(campaign, doubts=campaign.doubts.judged_by(policy))


def _requests_per_contact(run: StatusReport | None) -> float:
    """Return how many requests a contact takes, by the run so far."""
    if run is None:
        return REQUESTS_PER_CONTACT
    settled = sum(number for reasons in run["settled"].values() for number in reasons.values())
    requests = sum(number for answers in run["requests"].values() for number in answers.values())
    return requests / settled if settled and requests else REQUESTS_PER_CONTACT
