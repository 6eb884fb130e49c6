"""The rules of a campaign, from its settings."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from dispatcher.domain.failure_rate import FailedShare
from dispatcher.domain.quiet_hours import QuietHours
from dispatcher.engine.campaign_rules import HouseRules, LocalQuiet, Suppressed
from dispatcher.settings import Rules
from dispatcher.sources.suppression_list import SuppressionList

HOUR = 3600.0


async def open_house(
    given: Rules, campaign: str, stack: AsyncExitStack, on_too_many: Callable[[], None]
) -> HouseRules:
    """Return the rules; the suppression list is followed until the stack is closed.

    Raises:
        SourceError: the suppression list cannot be read.

    """
    share, of = given.stop_failed_share, given.stop_failed_of
    return HouseRules(
        one_per_person=given.one_per_person,
        cap=given.cap_messages,
        cap_seconds=given.cap_hours * HOUR,
        quiet=_quiet(given),
        suppressed=await _suppressed(given.suppression_file, campaign, stack),
        failed_share=FailedShare(share, of) if share else None,
        on_too_many=on_too_many,
    )


def _quiet(given: Rules) -> LocalQuiet | None:
    if not given.quiet_hours:
        return None
    hours = QuietHours.parse(given.quiet_hours)
    return LocalQuiet(hours, ZoneInfo(given.timezone), given.timezone_column)


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
