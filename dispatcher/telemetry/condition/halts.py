"""How long halts last, and those that ended since the last evaluation."""

from collections.abc import Callable

from dispatcher.domain.condition_facts import HaltFact
from dispatcher.domain.condition_platform import SHORTEST_HALT
from dispatcher.domain.events import Halted, Resumed
from dispatcher.domain.status import HaltReason

JUST_ENDED = 3.0
"""Seconds: longer than the pause between two evaluations."""
RETURNS_WITHIN = 10.0
"""Seconds: a halt that ends and comes again so soon is one: its cause was not removed."""


class HaltTimes:
    """Keeps the halts that last; ``monotonic`` is the clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last: dict[tuple[str, HaltReason], tuple[float, str]] = {}
        self._ended: list[tuple[float, HaltFact]] = []
        self._before: dict[tuple[str, HaltReason], tuple[float, float]] = {}

    def begin(self, event: Halted) -> None:
        """Note a halt; the same one again changes nothing."""
        now, key = self._monotonic(), (event.client, event.reason)
        since, ended = self._before.pop(key, (now, now))
        began = since if now - ended <= RETURNS_WITHIN else now
        self._last.setdefault(key, (began, event.detail))

    def end(self, event: Resumed) -> None:
        """Note the end of a halt."""
        now, key = self._monotonic(), (event.client, event.reason)
        since, detail = self._last.pop(key, (now - event.seconds, ""))
        seconds = max(event.seconds, now - since)
        if event.seconds >= SHORTEST_HALT:
            self._before[key] = since, now
        self._ended.append((now, HaltFact(event.reason, seconds, detail, event.client)))

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
