"""What follows from a snapshot of a run: what is final, what is left, and when it will end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dispatcher.domain.course import CoursePoint
from dispatcher.ports.snapshot import RUNNING, STANDBY, CampaignSnapshot, RunSnapshot


@dataclass(frozen=True, slots=True)
class PageState:
    """What the page shows at one moment: a snapshot, and the course of each campaign."""

    run: RunSnapshot
    courses: Mapping[str, Sequence[CoursePoint]]


@dataclass(frozen=True, slots=True)
class Outlook:
    """``final`` and ``left`` are contacts; ``seconds`` are until the last of them is final.

    ``seconds`` is None if it is not known: nothing is begun, or nothing became final lately.
    ``more`` is true if the source may have more rows than were read, ``halted`` if no contact is
    begun.
    """

    final: int
    left: int
    seconds: float | None
    more: bool = False
    halted: bool = False

    @property
    def known(self) -> int:
        """All contacts."""
        return self.final + self.left


def outlook(run: RunSnapshot, campaigns: Iterable[CampaignSnapshot]) -> Outlook:
    """Return what is left in some campaigns, and how long it takes.

    That is as long as the last minute's pace says, and never shorter than the quota permits.
    """
    chosen = list(campaigns)
    final, left = sum(map(final_contacts, chosen)), sum(one.left for one in chosen)
    rate = sum(one.rates.settled_60 or one.rates.settled_10 for one in chosen)
    more = any(one.source is not None and not one.source.ended for one in chosen)
    halted = bool(run.halts) or all(one.halts for one in chosen)
    if not left or not rate or halted:
        return Outlook(final, left, None if left else 0.0, more, halted)
    per_second = run.quota.limit / 60
    by_quota = left * run.requests_per_contact / per_second if per_second else 0.0
    return Outlook(final, left, max(left / rate, by_quota), more)


def final_contacts(campaign: CampaignSnapshot) -> int:
    """Return the contacts of a campaign that are final."""
    return sum(campaign.total(status) for status in campaign.outcomes)


def by_status(campaign: CampaignSnapshot) -> dict[str, int]:
    """Return the final contacts of a campaign by status."""
    return {status: campaign.total(status) for status in campaign.outcomes}


def running_words(run: RunSnapshot) -> str:
    """Return in a few words what the run does."""
    if run.ledger.away_since is not None:
        return "waiting: its ledger does not answer"
    if run.phase != RUNNING:
        return run.phase
    halts = set(run.halts) or _of_all(run.campaigns)
    if halts == {"paused"}:
        return "paused"
    return f"halted: {', '.join(sorted(halts)).replace('_', ' ')}" if halts else run.phase


def state_since(run: RunSnapshot) -> float:
    """Return since when the run does what `running_words` says, in seconds since the epoch."""
    if run.ledger.away_since is not None:
        return run.ledger.away_since
    if run.phase != RUNNING:
        return run.started_at
    if run.halts:
        return min(run.halts.values())
    if _of_all(run.campaigns):
        return max(min(one.halts.values()) for one in run.campaigns)
    return run.started_at


def is_known(run: RunSnapshot) -> bool:
    """Return True if the run has read its ledger: a standby, and one that starts, has not."""
    return any(one.read_at is not None for one in run.campaigns)


def is_standby(run: RunSnapshot) -> bool:
    """Return True if another dispatcher leads, and this one waits."""
    return run.phase == STANDBY


def is_at_rest(run: RunSnapshot, campaign: CampaignSnapshot) -> bool:
    """Return True if nothing of a campaign is begun now: it is halted, paused, or not begun yet."""
    begun = campaign.busy or final_contacts(campaign)
    return run.phase == RUNNING and bool(run.halts or campaign.halts or not begun)


def _of_all(campaigns: Sequence[CampaignSnapshot]) -> set[str]:
    """Return the reasons why campaigns are halted, if all of them are."""
    if not campaigns or not all(one.halts for one in campaigns):
        return set()
    return {reason for one in campaigns for reason in one.halts}
