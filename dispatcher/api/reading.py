"""Reads what a ledger has, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from dispatcher.api import tables
from dispatcher.api.options import CampaignOptions
from dispatcher.api.results import StatusResult
from dispatcher.app import status
from dispatcher.app.store import operator_store, pages
from dispatcher.app.wiring import make_policy
from dispatcher.domain.status import Status
from dispatcher.ports import OperatorStore
from dispatcher.ports.questions import (
    CampaignNames,
    ContactRows,
    HistoryOf,
    LineageRows,
    PagedRows,
    RejectedRows,
)
from dispatcher.ports.stored_rows import ContactRow, LineageRow
from dispatcher.settings import Settings, requests_per_minute
from dispatcher.sinks.lineage_formats import lineage_table

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R")


def campaign_of(settings: Settings) -> str | None:
    """Return the campaign that the settings name; None if they name none, or several."""
    keys = ("campaign", "campaigns[1].name")
    named = any(settings.origin(key) is not None for key in keys)
    return settings.campaign if named and len(settings.campaigns) == 1 else None


def read_status(options: CampaignOptions) -> StatusResult:
    """Return the status of the campaigns of a ledger."""
    settings = options.load("status")
    quota, policy = requests_per_minute(settings) / 60, make_policy(settings).reconcile
    report = status.read_status(settings.ledger_place, campaign_of(settings), quota, policy)
    contacts, rows = tables.status_tables(report)
    running = report["run"] is not None
    return StatusResult(report["left"], running, report["eta_seconds"], contacts, rows, report)


def read_contacts(options: CampaignOptions, statuses: Sequence[Status]) -> "pa.Table":
    """Return the contacts with one of the statuses."""
    settings = options.load("status")
    with operator_store(settings.ledger_place) as store:
        names = store.look(CampaignNames(campaign_of(settings)))
        found = [(name, row) for name in names for row in contact_rows(store, name, statuses)]
    return tables.contact_table(found)


def read_rejected(options: CampaignOptions) -> "pa.Table":
    """Return the rejected rows."""
    settings = options.load("status")
    with operator_store(settings.ledger_place) as store:
        names = store.look(CampaignNames(campaign_of(settings)))
        found = [(name, row) for name in names for row in _rows(store, RejectedRows(name))]
    return tables.stored_rejected_table(found)


def read_lineage(options: CampaignOptions) -> "pa.Table":
    """Return the lineage."""
    settings = options.load("status")
    with operator_store(settings.ledger_place) as store:
        return lineage_table([*_rows(store, LineageRows(campaign_of(settings)))])


def read_histories(options: CampaignOptions, contacts: Sequence[str] | None) -> "pa.Table":
    """Return the entries of the histories of contacts; None: of all."""
    settings = options.load("status")
    campaign = campaign_of(settings)
    found: dict[int, Mapping[str, Any]] = {}
    with operator_store(settings.ledger_place) as store:
        wanted: list[tuple[str | None, str]] = [(campaign, name) for name in contacts or ()]
        if contacts is None:
            for name in store.look(CampaignNames(campaign)):
                wanted += [(name, row.key) for row in contact_rows(store, name, [*Status])]
        for name_of_campaign, contact in wanted:
            for one in store.look(HistoryOf(contact, name_of_campaign)):
                found[one["id"]] = one
    return tables.history_table(found.values())


def read_outcomes(
    settings: Settings,
) -> tuple[Mapping[str, ContactRow], Mapping[str, LineageRow]]:
    """Return the contacts and the links of the campaign, by the contact's key."""
    with operator_store(settings.ledger_place) as store:
        contacts = contact_rows(store, settings.campaign, [*Status])
        links = _rows(store, LineageRows(settings.campaign))
        return {one.key: one for one in contacts}, {one.contact_key: one for one in links}


def contact_rows(
    store: OperatorStore, campaign: str, statuses: Sequence[Status]
) -> Iterator[ContactRow]:
    """Yield the contacts of a campaign with one of the statuses."""
    for one in statuses:
        yield from _rows(store, ContactRows(campaign, one))


def _rows(store: OperatorStore, rows: PagedRows[R]) -> Iterator[R]:
    for page in pages(store, rows):
        yield from page.rows
