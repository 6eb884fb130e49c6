"""Waiting for what is away: a server that does not answer now, and is expected back."""

import random
from collections.abc import Callable

from dispatcher.domain.growing_pause import GrowingPause
from dispatcher.ports import SourceError


class AwayWait:
    """Waits in the reading thread for a server that is away; ``reason`` says why, for people.

    One that is not ``patient`` does not wait: a check returns what is wrong now.
    """

    def __init__(self, *, patient: bool = True, share: Callable[[], float] = random.random) -> None:
        self._pause = GrowingPause(share)
        self._patient = patient
        self._sleep: Callable[[float], None] | None = None
        self.reason = ""

    def begin(self, sleep: Callable[[float], None]) -> None:
        """Take the function that waits so many seconds, and raises if reading has to end."""
        self._sleep = sleep

    def wait(self, reason: str) -> None:
        """Wait before the next try.

        Raises:
            SourceError: there is nobody to wait for it; it has the reason.

        """
        if self._sleep is None or not self._patient:
            raise SourceError(f"{reason}; check that it runs and can be reached, then try again")
        self.reason = reason
        self._sleep(self._pause.next())

    def is_back(self) -> None:
        """Note that the server has answered."""
        self.reason = ""
        self._pause.reset()
