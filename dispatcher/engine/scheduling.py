"""Which campaign's contact is next, where several campaigns share the workers."""

from collections.abc import Sequence
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

    def next(self, waiting: Sequence[int]) -> int:
        """Choose one of the numbers of the campaigns that have claims ready, at least one."""
        ...


class StrideScheduler:
    """Stride scheduling: chooses the campaign that got least, in proportion to its share.

    Every contact costs its campaign 1 / share; the campaign that spent least is next. One that
    had nothing for a while gets no more than a small credit for that time.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._costs = [1.0 / share for share in shares]
        self._spent = [0.0] * len(shares)
        self._level = 0.0

    def next(self, waiting: Sequence[int]) -> int:
        """Choose the campaign that spent least, and charge it for one contact."""
        spent = self._spent
        for number in waiting:
            spent[number] = max(spent[number], self._level - CREDIT * self._costs[number])
        chosen = min(waiting, key=spent.__getitem__)
        self._level = max(self._level, spent[chosen])
        spent[chosen] += self._costs[chosen]
        return chosen


class PriorityScheduler:
    """Chooses a campaign of the highest priority; those of one priority share by stride."""

    def __init__(self, priorities: Sequence[int], shares: Sequence[float]) -> None:
        self._priorities = tuple(priorities)
        self._strides = {priority: StrideScheduler(shares) for priority in priorities}

    def next(self, waiting: Sequence[int]) -> int:
        """Choose among the campaigns of the highest priority that has claims ready."""
        highest = max(self._priorities[number] for number in waiting)
        return self._strides[highest].next([n for n in waiting if self._priorities[n] == highest])
