"""A platform with fixed rate windows, and callers of a `Pace`, in virtual time."""

import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from dispatcher.domain.answer import QuotaReading
from dispatcher.pacing.schedule import RateSchedule

Latency = Callable[[random.Random], float]
"""Seconds of one way on the wire."""


def constant(seconds: float) -> Latency:
    return lambda _: seconds


def uniform(low: float, high: float) -> Latency:
    return lambda dice: dice.uniform(low, high)


def lognormal(median: float, sigma: float, most: float) -> Latency:
    return lambda dice: min(median * math.exp(sigma * dice.gauss(0, 1)), most)


@dataclass
class FixedWindow:
    """Counts requests against ``quota`` per ``period`` seconds; a window begins at ``phase``."""

    quota: int
    period: float
    phase: float
    rounding: Callable[[float], float] = math.ceil
    index: int = -1
    count: int = 0
    foreign: int = 0
    """Requests of others that were taken, in all windows."""
    windows: int = 0

    def request(self, now: float, *, ours: bool = True) -> tuple[bool, QuotaReading]:
        """Count one request; return whether it was taken, and the headers."""
        index = math.floor((now - self.phase) / self.period)
        if index != self.index:
            self.index, self.count = index, 0
        taken = self.count < self.quota
        if taken:
            self.count += 1
            self.foreign += not ours
        left = self.phase + (index + 1) * self.period - now
        return taken, QuotaReading(self.count, self.quota, max(self.rounding(left), 0))


def steady(per_window: int, period: float, dice: random.Random) -> Iterator[float]:
    """Moments of another program that goes evenly, with jitter."""
    gap, now = period / per_window, 0.0
    while True:
        yield now + dice.uniform(0, gap)
        now += gap


def bursts(
    per_window: int, period: float, dice: random.Random, at: float | None = None
) -> Iterator[float]:
    """Moments of another program that sends its share at one go, early or late in each window.

    ``at`` is a share of the period, random in each window if None.
    """
    start = 0.0
    while True:
        offset = (dice.random() if at is None else at) * period
        yield from (start + offset + number * 0.0002 for number in range(per_window))
        start += period


@dataclass
class Result:
    """What came of a run: all in requests, but ``waits`` in seconds from answer to permit."""

    taken: int = 0
    refused: int = 0
    offered: float = 0.0
    """The quota of the whole time, less what others had."""
    sent_at: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    counts: int = 0

    @property
    def used(self) -> float:
        return self.taken / self.offered

    @property
    def throttled(self) -> float:
        return self.refused / max(self.taken + self.refused, 1)


@dataclass
class World:
    """One run of callers that always have something to send, for ``seconds``."""

    server: FixedWindow
    latency: Latency
    seed: int
    seconds: float = 60.0
    workers: int = 256
    headers: Callable[[float], bool] = lambda _: True
    others: Iterable[float] = ()
    lateness: float = 0.001
    """Seconds by which timers fire late, at most."""
    stall_every: float = 0.0
    """Seconds between stops of the event loop of 50 ms; 0 for none."""
    keep_times: bool = False

    def run(self, pace: RateSchedule) -> Result:
        """Let the callers go for the whole time."""
        return _Run(self, pace).run()


class _Run:
    def __init__(self, world: World, pace: RateSchedule) -> None:
        self._world = world
        self._pace = pace
        self._dice = random.Random(world.seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._order = 0
        self._result = Result()
        self._others = iter(world.others)
        self._idle = world.workers
        self._answered: list[float] = []
        self._next_stall = world.stall_every or math.inf
        self._wake_at = math.inf

    def run(self) -> Result:
        self._at(0.0, self._wake)
        self._other()
        while self._events and self._events[0][0] < self._world.seconds:
            now, _, call, args = heapq.heappop(self._events)
            call(now, *args)
        world, result = self._world, self._result
        windows = world.seconds / world.server.period
        result.offered = windows * world.server.quota - world.server.foreign
        return result

    def _at(self, when: float, call: Callable[..., None], *args: object) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, call, args))

    def _other(self, now: float | None = None) -> None:
        if now is not None:
            self._world.server.request(now, ours=False)
        when = next(self._others, None)
        if when is not None:
            self._at(max(when, now or 0.0), self._other)

    def _late(self, when: float) -> float:
        """When the event loop really gets to it."""
        when += self._dice.random() * self._world.lateness
        if when >= self._next_stall:
            end = self._next_stall + 0.05
            if when > end:
                self._next_stall += self._world.stall_every * self._dice.uniform(0.5, 1.5)
            return max(when, end)
        return when

    def _wake(self, now: float) -> None:
        while self._idle or self._answered:
            number = self._pace.take(now)
            if number is None:
                break
            if self._answered:
                self._result.waits.append(now - self._answered.pop(0))
            else:
                self._idle -= 1
            self._send(number, now)
        if (self._idle or self._answered) and self._wake_at <= now:
            self._wake_at = max(self._pace.due(now), now + 0.001)
            self._wake_at = self._late(self._wake_at)
            self._at(self._wake_at, self._wake)

    def _send(self, number: int, now: float) -> None:
        if self._world.keep_times:
            self._result.sent_at.append(now)
        self._at(now + self._world.latency(self._dice), self._arrive, number, now)

    def _arrive(self, now: float, number: int, sent: float) -> None:
        taken, reading = self._world.server.request(now)
        if taken:
            self._result.taken += 1
        else:
            self._result.refused += 1
        when = self._late(now + self._world.latency(self._dice))
        self._at(when, self._answer, number, sent, taken, reading)

    def _answer(
        self, now: float, number: int, sent: float, taken: bool, reading: QuotaReading
    ) -> None:
        if self._world.headers(now):
            self._pace.read(number, sent, now, reading)
        if not taken:
            self._pace.hold(now + max(reading.reset, 1))
        self._result.counts += 1
        if self._result.counts % 2:
            self._answered.append(now)
        else:
            self._idle += 1
        self._wake_at = min(self._wake_at, now)
        self._wake(now)
