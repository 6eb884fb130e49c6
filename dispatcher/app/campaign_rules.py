"""The rules of a campaign, from its settings."""

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
    given: RulesSettings, campaign: str, stack: AsyncExitStack, on_too_many: Callable[[], None]
) -> CampaignRules:
    """Return the rules; the suppression list is followed until the stack is closed.

    Raises:
        SourceError: the suppression list cannot be read.

    """
    share, of = given.stop_failed_share, given.stop_failed_of
    return CampaignRules(
        one_per_person=given.one_per_person,
        cap=given.cap_messages,
        cap_seconds=given.cap_hours * HOUR,
        quiet=_quiet(given),
        suppressed=await _suppressed(given.suppression_file, campaign, stack),
        failure_rate=FailureRate(share, of) if share else None,
        on_too_many=on_too_many,
    )


def _quiet(given: RulesSettings) -> LocalQuietHours | None:
    if not given.quiet_hours:
        return None
    hours = QuietHours.parse(given.quiet_hours)
    return LocalQuietHours(hours, ZoneInfo(given.timezone), given.timezone_column)


async def _suppressed(path: str, campaign: str, stack: AsyncExitStack) -> Suppressed | None:
    if not path:
        return None
    log = structlog.get_logger(campaign=campaign)

    def tell(reason: str) -> None:
        log.warning("suppression.kept_last", file=path, detail=reason)

    people = await asyncio.to_thread(SuppressionList, Path(path), tell)
    log.info("suppression.read", file=path, values=len(people))
    watching = asyncio.ensure_future(people.watch())
    stack.callback(watching.cancel)
    return people.holds
