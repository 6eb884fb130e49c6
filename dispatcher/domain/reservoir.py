"""A random sample of a stream of unknown length, in memory that does not grow with it."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reservoir(Generic[T]):
    """Keeps ``size`` things out of all that are offered, each with the same chance.

    ``below`` gives a random whole number from 0 up to, but not including, its argument.
    """

    def __init__(self, size: int, below: Callable[[int], int]) -> None:
        self._size = size
        self._below = below
        self.offered = 0
        self.kept: list[T] = []

    def offer(self, thing: T) -> None:
        """Take ``thing`` in, or leave it."""
        self.offered += 1
        if len(self.kept) < self._size:
            self.kept.append(thing)
        elif (place := self._below(self.offered)) < self._size:
            self.kept[place] = thing
