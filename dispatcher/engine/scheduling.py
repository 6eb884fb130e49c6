"""Whose contact is next, where several campaigns share one quota."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CREDIT = 16.0
"""Contacts by which a lane that had nothing for a while may catch up, for a share of 1."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a lane gets of the workers: by ``share``, or by ``priority``, the higher the sooner."""

    share: float = 1.0
    priority: int = 0


EQUAL_WEIGHT = Weight()


class Scheduler(Protocol):
    """Decides whose contact is next."""

    def next(self, waiting: Sequence[int]) -> int:
        """Choose among the numbers of the lanes that have something; there is at least one."""
        ...


class StrideScheduler:
    """Gives to the lane that got least of late, in proportion to its share.

    Every contact costs its lane 1 / share; the lane that spent least is next. What a lane did
    not take while it had nothing is not kept for it, but for a small credit.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._costs = [1.0 / share for share in shares]
        self._spent = [0.0] * len(shares)
        self._level = 0.0

    def next(self, waiting: Sequence[int]) -> int:
        """Choose the one that spent least, and let it pay."""
        spent = self._spent
        for lane in waiting:
            spent[lane] = max(spent[lane], self._level - CREDIT * self._costs[lane])
        chosen = min(waiting, key=spent.__getitem__)
        self._level = max(self._level, spent[chosen])
        spent[chosen] += self._costs[chosen]
        return chosen


class PriorityScheduler:
    """Gives to the lane with the highest priority; lanes of one priority share fairly."""

    def __init__(self, priorities: Sequence[int], shares: Sequence[float]) -> None:
        self._priorities = tuple(priorities)
        self._fair = {priority: StrideScheduler(shares) for priority in priorities}

    def next(self, waiting: Sequence[int]) -> int:
        """Choose among those of the highest priority that has anything."""
        highest = max(self._priorities[lane] for lane in waiting)
        return self._fair[highest].next([n for n in waiting if self._priorities[n] == highest])
