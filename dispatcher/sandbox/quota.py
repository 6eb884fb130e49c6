"""The fixed rate window of an OAuth client, another program in it, and limits of endpoints."""

import math
from collections import deque
from dataclasses import dataclass, field
from random import Random

from dispatcher.sandbox.scenario.model import Limit, OtherProgramRules, RateRules
from dispatcher.sandbox.world.random import generator

_MAX_WINDOWS = 20_000


@dataclass(slots=True)
class QuotaWindow:
    """The counts of one window; ``start`` is an epoch time, ``complete``: it was not cut short."""

    start: float
    seconds: float
    allowed: int
    accepted: int = 0
    refused: int = 0
    other: int = 0
    complete: bool = False


class Quota:
    """Fixed windows over all calls of the client except token requests (platform contract)."""

    def __init__(self, rate: RateRules, seed: int, now: float, wall_offset: float) -> None:
        self.headers = rate.headers
        self._allowed = rate.allowed
        self._seconds = rate.window_seconds
        self._random = generator(seed, "quota")
        self._wall_offset = wall_offset
        self._past: deque[QuotaWindow] = deque(maxlen=_MAX_WINDOWS)
        age = self._random.random() * self._seconds if rate.phase is None else rate.phase
        self._other = _OtherProgram(rate.other, self._random)
        self._begin(now - age % self._seconds)
        self._whole = False

    def _begin(self, start: float) -> None:
        self._start = start
        self._end = start + self._seconds
        self._whole = True
        self._other.begin()
        self._window = QuotaWindow(start + self._wall_offset, self._seconds, self._allowed)

    def _finish(self) -> None:
        window = self._window
        window.other += self._other.takes(1.0, self._allowed - window.accepted - window.other)
        window.complete = self._whole
        self._past.append(window)

    def _roll(self, now: float) -> None:
        skipped = int((now - self._end) / self._seconds) - _MAX_WINDOWS
        self._finish()
        self._begin(self._end + max(0, skipped) * self._seconds)
        while now >= self._end:
            self._finish()
            self._begin(self._end)

    def take(self, now: float) -> bool:
        """Count one request; return False if the window has nothing left."""
        if now >= self._end:
            self._roll(now)
        window = self._window
        if self._other.per_window:
            left = self._allowed - window.accepted - window.other
            window.other += self._other.takes((now - self._start) / self._seconds, left)
        if window.accepted + window.other >= self._allowed:
            window.refused += 1
            return False
        window.accepted += 1
        return True

    def reset_after(self, now: float) -> int:
        """Return the whole seconds until the window ends, rounded up."""
        return max(1, math.ceil(self._end - now))

    def header_lines(self, now: float) -> bytes:
        """Return the three rate headers of the contract."""
        if not self.headers:
            return b""
        return (
            b"inin-ratelimit-count: %d\r\n"
            b"inin-ratelimit-allowed: %d\r\n"
            b"inin-ratelimit-reset: %d\r\n"
        ) % (self._window.accepted + self._window.other, self._allowed, self.reset_after(now))

    def change(self, allowed: int | None, window_seconds: float | None, now: float) -> None:
        """Start a new window with another quota; the current one stays incomplete."""
        if now >= self._end:
            self._roll(now)
        self._whole = False
        self._finish()
        self._allowed = self._allowed if allowed is None else allowed
        self._seconds = self._seconds if window_seconds is None else window_seconds
        self._begin(now)

    def windows(self, now: float) -> list[QuotaWindow]:
        """Return the windows so far; the last is the current one."""
        if now >= self._end:
            self._roll(now)
        return [*self._past, self._window]


class _OtherProgram:
    """Another user of the same client: evenly, or all at one moment of each window."""

    def __init__(self, rules: OtherProgramRules, random: Random) -> None:
        self.per_window = rules.per_window
        self._burst = rules.mode == "burst"
        self._random = random
        self.begin()

    def begin(self) -> None:
        self._requested = 0
        self._moment = self._random.random() if self._burst else 0.0

    def takes(self, elapsed: float, left: int) -> int:
        """Return how many of the ``left`` requests it takes at this share of the window."""
        if self._burst:
            due = self.per_window if elapsed >= self._moment else 0
        else:
            due = min(self.per_window, int(self.per_window * elapsed))
        requested, self._requested = due - self._requested, due
        return min(requested, left)


@dataclass(slots=True)
class LimitGate:
    """A limit of one endpoint, such as a daily one; it resets after a time of its own."""

    limit: Limit
    taken: int = 0
    refused: int = 0
    _opens: float | None = field(default=None, repr=False)

    def take(self, now: float) -> int:
        """Count one request; return 0, or the whole seconds until the next try if it is refused."""
        if self._opens is not None and now >= self._opens:
            self._opens, self.taken = None, 0
        if self.taken < self.limit.value:
            self.taken += 1
            return 0
        if self._opens is None:
            self._opens = now + self.limit.retry_after
        self.refused += 1
        return max(1, math.ceil(self._opens - now))
