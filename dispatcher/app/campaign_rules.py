"""Builds the rules of a campaign from its settings."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from dispatcher.domain.failure_rate import FailureRate
from dispatcher.domain.quiet_hours import QuietHours
from dispatcher.engine.campaign_rules import CampaignRules, LocalQuietHours, Suppressed
from dispatcher.settings import RulesSettings
from dispatcher.sources.suppression_list import SuppressionList

HOUR = 3600.0


async def open_campaign_rules(
    settings: RulesSettings, campaign: str, stack: AsyncExitStack, on_too_many: Callable[[], None]
) -> CampaignRules:
    """Return the rules; the suppression list is read again on changes until the stack is closed.

    Raises:
        SourceError: the suppression list cannot be read.

    """
    share, sample_size = settings.stop_failed_share, settings.stop_failed_of
    return CampaignRules(
        one_per_person=settings.one_per_person,
        cap=settings.cap_messages,
        cap_seconds=settings.cap_hours * HOUR,
        quiet=_quiet_hours(settings),
        suppressed=await _suppressed(settings.suppression_file, campaign, stack),
        failure_rate=FailureRate(share, sample_size) if share else None,
        on_too_many=on_too_many,
    )


def _quiet_hours(settings: RulesSettings) -> LocalQuietHours | None:
    if not settings.quiet_hours:
        return None
    hours = QuietHours.parse(settings.quiet_hours)
    return LocalQuietHours(hours, ZoneInfo(settings.timezone), settings.timezone_column)


async def _suppressed(path: str, campaign: str, stack: AsyncExitStack) -> Suppressed | None:
    if not path:
        return None
    log = structlog.get_logger(campaign=campaign)

    def warn(reason: str) -> None:
        log.warning("suppression.kept_last", file=path, detail=reason)

    people = await asyncio.to_thread(SuppressionList, Path(path), warn)
    log.info("suppression.read", file=path, values=len(people))
    watching = asyncio.ensure_future(people.watch())
    stack.callback(watching.cancel)
    return people.matches
