"""Pauses between tries that grow, for what is away and expected back."""

from collections.abc import Callable

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds."""


class GrowingPause:
    """Pauses between tries: each about twice as long as the one before, up to a minute.

    Each is shortened at random by up to a half, so that many programs do not return together.
    """

    def __init__(self, share: Callable[[], float]) -> None:
        """``share`` returns a random number between 0 and 1."""
        self._share = share
        self._next = FIRST_PAUSE

    def next(self) -> float:
        """Return how many seconds to wait before the next try."""
        pause = self._next
        self._next = min(2 * pause, LONGEST_PAUSE)
        return pause * (1 - self._share() / 2)

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._next = FIRST_PAUSE
