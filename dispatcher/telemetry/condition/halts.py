"""How long halts last, and those that ended since the last evaluation."""

from collections.abc import Callable

from dispatcher.domain.condition_facts import HaltFact
from dispatcher.domain.events import Halted, Resumed
from dispatcher.domain.status import HaltReason

JUST_ENDED = 3.0
"""Seconds: longer than the pause between two evaluations."""


class HaltTimes:
    """Keeps the halts that last; ``monotonic`` is the clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last: dict[tuple[str, HaltReason], tuple[float, str]] = {}
        self._ended: list[tuple[float, HaltFact]] = []

    def begin(self, event: Halted) -> None:
        """Note a halt; the same one again changes nothing."""
        self._last.setdefault((event.client, event.reason), (self._monotonic(), event.detail))

    def end(self, event: Resumed) -> None:
        """Note the end of a halt."""
        _, detail = self._last.pop((event.client, event.reason), (0.0, ""))
        ended = HaltFact(event.reason, event.seconds, detail, event.client)
        self._ended.append((self._monotonic(), ended))

    def take(self, now: float) -> tuple[HaltFact, ...]:
        """Return the halts that last, and those that ended so shortly ago that none missed them.

        So a halt between two evaluations is judged, too, by every campaign.
        """
        self._ended = [(at, halt) for at, halt in self._ended if now - at <= JUST_ENDED]
        lasting = {
            (client, reason): HaltFact(reason, now - since, detail, client)
            for (client, reason), (since, detail) in self._last.items()
        }
        past = [halt for _, halt in self._ended if (halt.client, halt.reason) not in lasting]
        return *lasting.values(), *past
