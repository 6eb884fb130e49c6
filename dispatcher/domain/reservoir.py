"""A random sample of a stream of unknown length, in constant memory."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reservoir(Generic[T]):
    """Keeps ``size`` of all offered items; each item has the same chance.

    ``below`` returns a random integer from 0 up to, but not including, its argument.
    """

    def __init__(self, size: int, below: Callable[[int], int]) -> None:
        self._size = size
        self._below = below
        self.offered = 0
        self.kept: list[T] = []

    def offer(self, item: T) -> None:
        """Keep ``item``, or leave it out, at random."""
        self.offered += 1
        if len(self.kept) < self._size:
            self.kept.append(item)
        elif (place := self._below(self.offered)) < self._size:
            self.kept[place] = item
