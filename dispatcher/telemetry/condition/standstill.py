"""How long a campaign has made no progress although it has work."""

from dispatcher.domain.condition_facts import Standstill

LONGEST_PAUSE = 60.0
"""Seconds without an evaluation, after which the time is measured from the beginning: the process
itself was stopped, for example with its machine. That is shown by its heartbeat."""


class StandstillClock:
    """Measures the time since something moved; ``started`` is a moment of the clock."""

    def __init__(self, started: float) -> None:
        self._since = self._last = started

    def take(self, now: float, epoch: float, last_answer: float, *, moves: bool) -> Standstill:
        """Return the standstill at an evaluation ``now``, which is ``epoch``.

        ``moves``: since the last evaluation something moved, or there was nothing that could.
        ``last_answer`` is when a request of the run last had an answer.
        """
        if moves or now - self._last > LONGEST_PAUSE:
            self._since = now
        self._since, self._last = max(self._since, last_answer), now
        seconds = now - self._since
        return Standstill(seconds, epoch - seconds)
