"""Builds the rules of a campaign from its settings."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import structlog

from dispatcher.app.sources import make_source
from dispatcher.app.suppression import (
    ListContext,
    can_be_compared,
    id_columns,
    last_size,
    open_list,
)
from dispatcher.app.wiring import opt_out_columns
from dispatcher.domain.failure_rate import FailureRate
from dispatcher.domain.quiet_hours import QuietHours
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.local_quiet_hours import LocalQuietHours, UnknownZone
from dispatcher.engine.time_zones import require_zone
from dispatcher.ports import EventSink
from dispatcher.settings import RulesSettings, Settings

HOUR = 3600.0

_ZONE_LIKE = re.compile(r"(?!(?:\D*\d){7})[\w+:/(). -]{1,60}")
"""A value that may be shown in the log: a column of names or numbers, named by mistake, is not."""


async def open_campaign_rules(
    settings: RulesSettings, campaign: str, stack: AsyncExitStack, on_too_many: Callable[[], None],
    context: ListContext | None = None,
) -> CampaignRules:  # fmt: skip
    """Return the rules; the suppression list is read again on changes until the stack is closed.

    ``context`` is what the list is compared with.

    Raises:
        SourceError: the suppression list cannot be read, or is no list of this campaign's contacts.

    """
    share, sample_size = settings.stop_failed_share, settings.stop_failed_of
    rules = CampaignRules(
        one_per_person=settings.one_per_person,
        cap=settings.cap_messages,
        cap_seconds=settings.cap_hours * HOUR,
        quiet=_quiet_hours(settings, campaign),
        failure_rate=FailureRate(share, sample_size) if share else None,
        on_too_many=on_too_many,
        opt_out=opt_out_columns(settings) or None,
    )
    if not settings.suppression_file:
        return rules
    suppression_list, fit = await open_list(settings, context or ListContext(campaign))
    watching = asyncio.ensure_future(suppression_list.watch())
    stack.callback(watching.cancel)
    return replace(
        rules,
        suppressed=suppression_list.matches,
        list_unproved=fit.is_unproved,
        list_names_addresses=lambda: suppression_list.names_addresses,
    )


def list_context(
    settings: Settings, events: EventSink | None = None, *, remember: bool = False
) -> ListContext:
    """Return what the list of one campaign, whose settings these are, is compared with.

    That includes its size in the last run; with ``remember`` the present one is kept beside the
    ledger.
    """
    can_be_read_twice = settings.program_source is not None or can_be_compared(settings.source)
    source = make_source(settings, once=True) if can_be_read_twice else None
    last = last_size(settings)
    return ListContext(
        settings.campaign, source, id_columns(settings.source), events, last, remember
    )


def _quiet_hours(settings: RulesSettings, campaign: str) -> LocalQuietHours | None:
    if not (settings.quiet_hours or settings.holidays):
        return None
    log = structlog.get_logger(campaign=campaign)
    column, unknown = settings.timezone_column, UnknownZone(settings.unknown_timezone)

    def warn(value: str) -> None:
        shown = value if _ZONE_LIKE.fullmatch(value) else f"({len(value)} characters)"
        log.warning("quiet_hours.unknown_timezone", column=column, value=shown, then=unknown)

    hours = QuietHours.parse(settings.quiet_hours, settings.holidays)
    return LocalQuietHours(hours, require_zone(settings.timezone), column, unknown, warn)
