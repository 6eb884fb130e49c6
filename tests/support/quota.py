"""A platform with fixed rate windows, and workers with a pacer, in virtual time."""

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.status import Step
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.virtual import VirtualClock, VirtualLoop

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
    """The result of a run: in requests, but ``waits`` in seconds from answer to permit."""

    taken: int = 0
    refused: int = 0
    offered: float = 0.0
    """The quota of the whole time, less what others had."""
    waits: list[float] = field(default_factory=list, repr=False)

    @property
    def used(self) -> float:
        return self.taken / self.offered

    @property
    def throttled(self) -> float:
        return self.refused / max(self.taken + self.refused, 1)


class LateLoop(VirtualLoop):
    """A virtual loop whose timers are late, by up to ``lateness`` seconds.

    About every ``stall_every`` seconds it stops for 50 ms; 0: it never does.
    """

    def __init__(self, dice: random.Random, lateness: float, stall_every: float) -> None:
        super().__init__()
        self._dice = dice
        self._lateness = lateness
        self._stall_every = stall_every
        self._next_stall = stall_every or math.inf

    def call_at(self, when, callback, *args, context=None):
        when += self._dice.random() * self._lateness
        if when >= self._next_stall:
            end = self._next_stall + 0.05
            if when > end:
                self._next_stall += self._stall_every * self._dice.uniform(0.5, 1.5)
            when = max(when, end)
        return self.call_exactly_at(when, callback, *args, context=context)

    def call_exactly_at(self, when, callback, *args, context=None):
        """Set a timer of somebody else's, that is not late."""
        return super().call_at(when, callback, *args, context=context)


@dataclass
class World:
    """One run of workers that always have something to send, for ``seconds``."""

    server: FixedWindow
    latency: Latency
    seed: int
    seconds: float = 12.0
    workers: int = 256
    headers: Callable[[float], bool] = lambda _: True
    others: Iterable[float] = ()
    skipped: float = 0.0
    """Seconds at the beginning that are not counted."""
    lateness: float = 0.001
    stall_every: float = 0.0

    def run(self, requests: int, window: float) -> Result:
        """Let the workers send through a pacer with this quota for the whole time."""
        dice = random.Random(self.seed)
        loop = LateLoop(dice, self.lateness, self.stall_every)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(_Run(self, loop, dice, requests, window).run())


class _Run:
    def __init__(self, world, loop, dice, requests, window):
        self._world = world
        self._loop = loop
        self._dice = dice
        self._pacer = QuotaPacer(requests, window, VirtualClock())
        self._result = Result()
        self._others = iter(world.others)

    async def run(self):
        world, result, server = self._world, self._result, self._world.server
        self._other()
        workers = [asyncio.create_task(self._worker()) for _ in range(world.workers)]
        await asyncio.sleep(world.skipped)
        result.taken = result.refused = server.foreign = 0
        await asyncio.sleep(world.seconds)
        windows = world.seconds / server.period
        result.offered = windows * server.quota - server.foreign
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        return result

    def _other(self):
        when = next(self._others, None)
        if when is not None:
            self._loop.call_exactly_at(max(when, self._loop.time()), self._other_request)

    def _other_request(self):
        self._world.server.request(self._loop.time(), ours=False)
        self._other()

    async def _worker(self):
        while True:
            await self._request(await self._pacer.acquire(Step.CHECK))
            answered = self._loop.time()
            permit = await self._pacer.acquire(Step.OPEN)
            self._result.waits.append(self._loop.time() - answered)
            await self._request(permit)

    async def _request(self, permit):
        arrival = self._loop.time() + self._world.latency(self._dice)
        answer = self._loop.create_future()
        self._loop.call_exactly_at(arrival, self._arrive, answer)
        taken, reading = await answer
        permit.complete(reading if self._world.headers(self._loop.time()) else None)
        if not taken:
            self._pacer.hold(None, max(reading.reset, 1))

    def _arrive(self, answer):
        taken, reading = self._world.server.request(self._loop.time())
        if taken:
            self._result.taken += 1
        else:
            self._result.refused += 1
        self._loop.call_later(self._world.latency(self._dice), _resolve, answer, (taken, reading))


def _resolve(future, result):
    if not future.done():
        future.set_result(result)
