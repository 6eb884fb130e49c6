"""The lanes of a run: one for each campaign, all over one ledger."""

import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from dispatcher.app.campaign_rules import open_campaign_rules
from dispatcher.app.telemetry import Observation
from dispatcher.app.wiring import make_rules, make_source
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.campaign_run import Campaign, CampaignRun, make_campaign_run
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.intake import ContactLimit
from dispatcher.engine.scheduling import Weight
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.write.claims import Recovered
from dispatcher.ledgers.write.in_doubt import campaigns_in_doubt
from dispatcher.ports import Clock, EventSink, Source
from dispatcher.settings import CampaignSettings, Settings


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A campaign whose source is known and whose ledger is open.

    ``settings`` are those of the run as they are for this campaign alone.
    """

    campaign: CampaignSettings
    settings: Settings
    source: Source
    ledger: SqliteLedger
    events: EventSink
    house: CampaignRules


async def open_campaigns(
    settings: Settings, observation: Observation, stack: AsyncExitStack,
    on_too_many: Callable[[CampaignSettings], None], *, once: bool,
) -> list[OpenCampaign]:  # fmt: skip
    """Open every campaign, and take up what a daemon that died left of it.

    ``on_too_many`` is told the campaign of which too large a share of contacts failed.

    Raises:
        SourceError: a source cannot be read.
        LedgerError: the ledger cannot be used.

    """
    views = [settings.only(campaign) for campaign in settings.campaigns]
    sources = [make_source(view, once=once) for view in views]
    first = await SqliteLedger.open(settings.ledger.path, views[0].campaign)
    stack.push_async_callback(first.close)
    opened = []
    for view, source in zip(views, sources, strict=True):
        ledger = first if view is views[0] else await first.for_campaign(view.campaign)
        events = observation.of(view.campaign)
        _tell_start(view.campaign, await ledger.recover())
        campaign = view.campaigns[0]
        too_many = partial(on_too_many, campaign)
        house = await open_campaign_rules(view.rules, view.campaign, stack, too_many)
        opened.append(OpenCampaign(campaign, view, source, ledger, events, house))
    await _warn_of_others(first, [view.campaign for view in views])
    return opened


def make_campaign_runs(
    opened: Sequence[OpenCampaign], pool: ClientPool, clock: Clock, limit: int | None
) -> list[CampaignRun]:
    """Return the runs of all campaigns; ``limit`` bounds what they claim together."""
    contacts = ContactLimit(limit)
    return [
        make_campaign_run(
            Campaign(
                own.campaign.name,
                own.source,
                own.ledger,
                own.events,
                make_rules(own.settings),
                own.house,
                Weight(own.campaign.share, own.campaign.priority),
            ),
            pool,
            clock,
            contacts,
            random.random,
            own.settings.platform.states_per_call,
        )
        for own in opened
    ]


def _tell_start(campaign: str, recovered: Recovered) -> None:
    structlog.get_logger(campaign=campaign).info(
        "run.started", released=recovered.released, in_doubt=recovered.in_doubt
    )


async def _warn_of_others(ledger: SqliteLedger, campaigns: Sequence[str]) -> None:
    """Tell of campaigns that hold people up, and whose doubts no run of these looks for."""
    counts = await ledger.job(partial(campaigns_in_doubt, campaigns=campaigns))
    for name, in_doubt in counts.items():
        structlog.get_logger(campaign=name).warning("run.doubts_elsewhere", in_doubt=in_doubt)
