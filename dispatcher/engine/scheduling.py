"""Which campaign's contact is next, where several campaigns share the workers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

CREDIT = 16.0
"""Contacts that a campaign that had none for a while may catch up, for a share of 1."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A campaign's part of the workers: by ``share``, or by ``priority``, the highest first."""

    share: float = 1.0
    priority: int = 0


EQUAL_WEIGHT = Weight()


class Scheduler(Protocol):
    """Decides which campaign's contact is next."""

    def next(self, waiting: Collection[int]) -> int:
        """Return one of ``waiting``: indexes of campaigns with ready claims, never empty."""
        ...


class StrideScheduler:
    """Stride scheduling: chooses the campaign that got least, in proportion to its share.

    Every contact moves its campaign's pass on by a stride of 1 / share; the campaign with the
    smallest pass is next. The virtual time is the greatest pass that was chosen so far: a campaign
    that had no contacts for a while is at most `CREDIT` strides behind it.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._strides = [1.0 / share for share in shares]
        self._passes = [0.0] * len(shares)
        self._virtual_time = 0.0

    def next(self, waiting: Collection[int]) -> int:
        """Choose the campaign with the smallest pass, and move its pass on by a stride."""
        passes = self._passes
        while True:  # of many campaigns hardly one is too far behind: only the chosen one may be
            chosen = min(waiting, key=passes.__getitem__)
            earliest = self._virtual_time - CREDIT * self._strides[chosen]
            if passes[chosen] >= earliest:
                break
            passes[chosen] = earliest
        self._virtual_time = max(self._virtual_time, passes[chosen])
        passes[chosen] += self._strides[chosen]
        return chosen


class PriorityScheduler:
    """Chooses a campaign of the highest priority; those of one priority share by stride."""

    def __init__(self, priorities: Sequence[int], shares: Sequence[float]) -> None:
        self._priorities = tuple(priorities)
        self._schedulers = {priority: StrideScheduler(shares) for priority in priorities}

    def next(self, waiting: Collection[int]) -> int:
        """Choose among the waiting campaigns of the highest priority."""
        highest = max(self._priorities[index] for index in waiting)
        return self._schedulers[highest].next(
            [i for i in waiting if self._priorities[i] == highest]
        )


def make_scheduler(weights: Sequence[Weight], *, by_priority: bool) -> Scheduler | None:
    """Return how several campaigns share the workers; None for one campaign."""
    if len(weights) == 1:
        return None
    shares = [weight.share for weight in weights]
    if not by_priority:
        return StrideScheduler(shares)
    return PriorityScheduler([weight.priority for weight in weights], shares)
