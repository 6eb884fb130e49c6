"""Keeping to the quota: callers wait here for the right to make one request."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.status import Step
from dispatcher.pacing.schedule import RateSchedule
from dispatcher.ports import Clock, Pacer, Permit

_SHORTEST_WAIT = 0.001
"""Seconds; the granularity of event loop timers."""


class _Ticket(NamedTuple):
    ticket: int
    future: asyncio.Future[Permit | None]


class _Permit:
    """One slot; see `dispatcher.ports.Permit`."""

    __slots__ = ("_granted", "_number", "_pacer")

    def __init__(self, pacer: "QuotaPacer", number: int, granted: float) -> None:
        self._pacer = pacer
        self._number = number
        self._granted = granted

    def complete(self, reading: QuotaReading | None) -> None:
        if reading is not None:
            self._pacer.read(self._number, self._granted, reading)

    def release(self) -> None:
        self._pacer.give_back()

    def issued_by(self, pacer: Pacer) -> bool:
        return self._pacer is pacer


class QuotaPacer:
    """Permits at most ``requests`` per ``window`` seconds, spread evenly; see `ports.Pacer`.

    It belongs to one event loop, and is used from there only.
    """

    def __init__(self, requests: int, window: float, clock: Clock) -> None:
        self._pace = RateSchedule(requests, window)
        self._now = clock.monotonic
        self._queues: dict[Step, deque[_Ticket]] = {step: deque() for step in Step}
        self._held = dict.fromkeys(Step, float("-inf"))
        self._plain = True
        self._tickets = 0
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, step: Step) -> Permit | None:
        """Wait for the right to make one request; None when waiting was broken off."""
        if self._plain:
            now = self._now()
            number = self._pace.take(now)
            if number is not None:
                return _Permit(self, number, now)
        return await self._wait(step)

    def enqueue(self, step: Step, future: asyncio.Future[Permit | None]) -> Callable[[], None]:
        """Stand in line with a future that may stand in other lines, too; see `ports.Pacer`."""
        return partial(self._leave_queue, step, self._enqueue(step, future))

    def hold(self, step: Step | None, seconds: float) -> None:
        """Permit nothing for ``step`` (None: nothing at all) for so long."""
        until = self._now() + seconds
        if step is None:
            self._pace.hold(until)
        else:
            self._held[step] = max(self._held[step], until)
            self._plain = False
        self._pump()

    def hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held from now on; 0 if it is not."""
        now = self._now()
        return max(self._held[step] - now, self._pace.held(now))

    def endpoint_hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held by a limit of its own; 0 if it is not."""
        return max(self._held[step] - self._now(), 0.0)

    def cancel_waiters(self, *, checks_only: bool) -> None:
        """Let every waiting caller (or every one that waits for a check) return with None."""
        for step in (Step.CHECK, Step.CHECK_MANY) if checks_only else Step:
            queue = self._queues[step]
            while queue:
                _resolve(queue.popleft(), None)
        self._pump()

    @property
    def rate(self) -> float:
        """Requests per second at which permits are given just now."""
        return self._pace.rate

    @property
    def quota_used(self) -> float:
        """Share of the current window's quota that is used, from 0 to 1."""
        return self._pace.used(self._now())

    def read(self, number: int, sent: float, reading: QuotaReading) -> None:
        """Take the platform's count; for permits only."""
        self._pace.read(number, sent, self._now(), reading)

    def give_back(self) -> None:
        """Take a slot back; for permits only."""
        self._pace.give_back()
        self._pump()

    async def _wait(self, step: Step) -> Permit | None:
        future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
        waiter = self._enqueue(step, future)
        try:
            return await future
        except asyncio.CancelledError:
            self._abandon(step, waiter)
            raise

    def _enqueue(self, step: Step, future: asyncio.Future[Permit | None]) -> _Ticket:
        self._tickets += 1
        waiter = _Ticket(self._tickets, future)
        self._queues[step].append(waiter)
        self._plain = False
        self._pump()
        return waiter

    def _leave_queue(self, step: Step, waiter: _Ticket) -> None:
        """Let somebody go who was served elsewhere."""
        if waiter in self._queues[step]:
            self._queues[step].remove(waiter)

    def _abandon(self, step: Step, waiter: _Ticket) -> None:
        """Give a cancelled caller's permit, or its place in the line, to the next."""
        if waiter in self._queues[step]:
            self._queues[step].remove(waiter)
        elif not waiter.future.cancelled() and (permit := waiter.future.result()) is not None:
            permit.release()
        self._pump()

    def _pump(self) -> None:
        """Grant all slots that are due, then set the timer for the next."""
        now = self._now()
        while (queue := self._first(now)) is not None:
            if queue[0].future.done():
                queue.popleft()
                continue
            number = self._pace.take(now)
            if number is None:
                break
            _resolve(queue.popleft(), _Permit(self, number, now))
        self._plain = not any(self._queues.values()) and all(
            until <= now for until in self._held.values()
        )
        self._set_timer(now)

    def _first(self, now: float) -> deque[_Ticket] | None:
        """Return the queue whose head is next: sends, look backs, checks, checks of many."""
        notify, opening, looking, check, many = (
            queue if (queue := self._queues[step]) and self._held[step] <= now else None
            for step in (Step.NOTIFY, Step.OPEN, Step.LOOK_BACK, Step.CHECK, Step.CHECK_MANY)
        )
        if notify and opening:
            return min(notify, opening, key=lambda queue: queue[0].ticket)
        return notify or opening or looking or check or many

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wakes = [
            max(self._held[step], self._pace.due(now))
            for step, queue in self._queues.items()
            if queue
        ]
        if wakes:
            loop = asyncio.get_running_loop()
            delay = max(min(wakes) - now, _SHORTEST_WAIT)
            self._timer = loop.call_later(delay, self._pump)


def _resolve(waiter: _Ticket, result: Permit | None) -> None:
    if not waiter.future.done():
        waiter.future.set_result(result)
