"""Opens the campaigns of a run, which share one ledger, and builds the part of each."""

import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from dispatcher.app.campaign_rules import list_context, open_campaign_rules
from dispatcher.app.sources import make_source
from dispatcher.app.telemetry import EVERY_CAMPAIGN, RunTelemetry
from dispatcher.app.wiring import make_likeness, make_policy
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.campaign_run import Campaign, CampaignRun
from dispatcher.engine.campaign_wiring import make_campaign_run
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.intake import ContactLimit
from dispatcher.engine.scheduling import Weight
from dispatcher.ports import CampaignTracing, Clock, EventSink, Ledger, Source, Store
from dispatcher.ports.questions import CampaignNames, DoubtsElsewhere
from dispatcher.settings import CampaignSettings, Settings
from dispatcher.telemetry.tag_values import same_tags


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A campaign with its ledger, which the ``store`` has open.

    ``settings`` are those that hold for it alone.
    """

    campaign: CampaignSettings
    settings: Settings
    source: Source
    store: Store
    ledger: Ledger
    events: EventSink
    rules: CampaignRules
    tracing: CampaignTracing | None = None


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The store of a run, and the settings and the source of each campaign."""

    store: Store
    campaign_settings: Sequence[Settings]
    sources: Sequence[Source]


async def open_run_store(
    settings: Settings, stack: AsyncExitStack, open_store: Callable[[], Awaitable[Store]],
    lead: Callable[[Store], Awaitable[None]], *, once: bool,
) -> OpenStore:  # fmt: skip
    """Make the sources of a run, and open its store with ``open_store``.

    ``lead`` is awaited with the store, and returns when this run may begin. A run that may have to
    wait for that makes its sources afterwards.

    Raises:
        SourceError: a source cannot be read; then no ledger is made.
        LedgerError: as ``open_store`` and ``lead``.

    """
    campaign_settings = [settings.only(campaign) for campaign in settings.campaigns]
    waits = bool(settings.ledger.url)
    sources = (
        [] if waits else [make_source(of_campaign, once=once) for of_campaign in campaign_settings]
    )
    store = await open_store()
    stack.push_async_callback(store.close)
    await lead(store)
    if waits:
        sources = [make_source(of_campaign, once=once) for of_campaign in campaign_settings]
    _log_ledger(store, settings)
    return OpenStore(store, campaign_settings, sources)


async def open_campaigns(
    run_store: OpenStore,
    telemetry: RunTelemetry,
    stack: AsyncExitStack,
    on_too_many: Callable[[CampaignSettings], None],
) -> list[OpenCampaign]:
    """Open every campaign, and take up the contacts that an ended run left unfinished.

    ``on_too_many`` is called with a campaign of which too large a share of contacts failed.

    Raises:
        SourceError: a suppression list cannot be read.
        LedgerError: the ledger has failed.

    """
    store, campaign_settings = run_store.store, run_store.campaign_settings
    ledgers = {
        of_campaign.campaign: await store.campaign(of_campaign.campaign)
        for of_campaign in campaign_settings
    }
    taken_up = await store.take_up()
    opened = []
    for of_campaign, source in zip(campaign_settings, run_store.sources, strict=True):
        events, ledger = telemetry.sink(of_campaign.campaign), ledgers[of_campaign.campaign]
        recovered = taken_up[of_campaign.campaign]
        structlog.get_logger(campaign=of_campaign.campaign).info(
            "run.started", released=recovered.released, in_doubt=recovered.in_doubt
        )
        campaign = of_campaign.campaigns[0]
        too_many = partial(on_too_many, campaign)
        context = list_context(of_campaign, events, remember=True)
        rules = await open_campaign_rules(
            of_campaign.rules, of_campaign.campaign, stack, too_many, context
        )
        tracing = None
        if telemetry.tracing is not None:
            tracing = telemetry.tracing.campaign(of_campaign.campaign)
        opened.append(
            OpenCampaign(campaign, of_campaign, source, store, ledger, events, rules, tracing)
        )
    await _warn_of_other_campaigns(
        store, [of_campaign.campaign for of_campaign in campaign_settings]
    )
    return opened


def make_campaign_runs(
    opened: Sequence[OpenCampaign],
    pool: ClientPool,
    clock: Clock,
    limit: int | None,
    accepted: Collection[str] = (),
) -> list[CampaignRun]:
    """Return the parts of all campaigns; ``limit`` is how many contacts they take together.

    ``accepted`` are keys of kinds of refusals for which none of them halts.
    """
    contact_limit, shares = ContactLimit(limit), sum(one.campaign.share for one in opened)
    return [
        _campaign_run(one, pool, clock, contact_limit, one.campaign.share / shares, accepted)
        for one in opened
    ]


def _campaign_run(
    opened: OpenCampaign, pool: ClientPool, clock: Clock, limit: ContactLimit, quota_share: float,
    accepted: Collection[str],
) -> CampaignRun:  # fmt: skip
    settings, campaign = opened.settings, opened.campaign
    weight = Weight(campaign.share, campaign.priority)
    tracing, ledger = opened.tracing, opened.ledger
    run = make_campaign_run(
        Campaign(
            campaign.name,
            opened.source,
            ledger if tracing is None else tracing.wrap_ledger(ledger),
            opened.events,
            make_policy(settings),
            opened.rules,
            weight,
            settings.rules.halt_suspicious,
            settings.retry.waiting_share,
            quota_share,
            accepted,
            make_likeness(settings),
            settings.source.kind == "http",
            opened.store.tenure,
        ),
        pool,
        clock,
        limit,
        random.random,
        settings.platform.states_per_call,
    )
    if tracing is not None:
        run.deliver = tracing.wrap_delivery(run.deliver)
    return run


def _log_ledger(store: Store, settings: Settings) -> None:
    """Log that the ledger is new, or a copy that was adopted."""
    campaign = EVERY_CAMPAIGN if len(settings.campaigns) > 1 else settings.campaign
    log = structlog.get_logger(campaign=campaign, path=settings.ledger_place.whole)
    if store.created:
        log.info("ledger.created")
    if store.adopted is not None:
        log.warning("ledger.adopted", detail=store.adopted)


async def _warn_of_other_campaigns(store: Store, campaigns: Sequence[str]) -> None:
    """Log campaigns with the same tag, and other campaigns whose contacts in doubt stay so."""
    names = await store.look(CampaignNames())
    for value, group in same_tags(names):
        if not set(group).isdisjoint(campaigns):
            # Their metrics are added up, also those of an earlier run and of this one.
            structlog.get_logger(campaign=value).warning("campaign.tag_shared", names=group)
    counts = await store.look(DoubtsElsewhere(tuple(campaigns)))
    for name, in_doubt in counts.items():
        structlog.get_logger(campaign=name).warning("run.doubts_elsewhere", in_doubt=in_doubt)
