"""Judges what campaigns hold when no more answers come: at a run's end, or after a quiet time."""

from collections.abc import Sequence

from dispatcher.engine.campaign_run import CampaignRun


async def conclude_quiet(campaigns: Sequence[CampaignRun], seconds: float) -> None:
    """Judge what is held by the campaigns that got no answer for so many seconds."""
    for campaign in campaigns:
        if not campaign.in_flight and campaign.guard.is_quiet(seconds):
            await campaign.guard.conclude()


async def conclude_all(campaigns: Sequence[CampaignRun]) -> bool:
    """Judge what is held by all campaigns; return True if that halts one."""
    return any([await campaign.guard.conclude() for campaign in campaigns])
