"""Keeps to the quota: callers wait here for the right to make one request."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from aiolimiter import AsyncLimiter

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.events import QuotaUse
from dispatcher.domain.status import Step
from dispatcher.pacing.schedule import RateSchedule
from dispatcher.ports import Clock, Pacer, Permit

_SHORTEST_WAIT = 0.001
"""Seconds; the granularity of event loop timers."""
_SAME_MOMENT = 0.0001
"""Seconds; a timer that is set for a moment as near as that is left as it is."""
_NEVER = float("-inf")
_BACKGROUND = None
"""The queue of requests that belong to no contact's step."""
_AFTER_SENDS = (Step.LOOK_BACK, _BACKGROUND, Step.CHECK, Step.CHECK_MANY)
"""What ends work that was begun comes before checks, which begin work."""


class _QueuedCaller(NamedTuple):
    ticket: int
    future: asyncio.Future[Permit | None]


class _Permit:
    """The right to make one request; see `dispatcher.ports.Permit`."""

    __slots__ = ("_granted", "_number", "_pacer")

    def __init__(self, pacer: "QuotaPacer", number: int, granted: float) -> None:
        self._pacer = pacer
        self._number = number
        self._granted = granted

    def complete(self, reading: QuotaReading | None) -> None:
        if reading is not None:
            self._pacer.record(self._number, self._granted, reading)

    def release(self) -> None:
        self._pacer.take_back()

    def issued_by(self, pacer: Pacer) -> bool:
        return self._pacer is pacer


class QuotaPacer:
    """Permits at most ``requests`` per ``window`` seconds, spread evenly; see `ports.Pacer`.

    The order of the waiters is decided here, and the rate by a `RateSchedule`. A leaky bucket
    between the two limits bursts: it leaks one second per second, and a request adds the seconds
    that the schedule puts between two requests. So delays of timers are caught up, by as much as
    the bucket holds. It belongs to one event loop, and is used from there only.
    """

    def __init__(self, requests: int, window: float, clock: Clock) -> None:
        self._schedule = RateSchedule(requests, window)
        self._bucket = AsyncLimiter(self._schedule.capacity, self._schedule.capacity)
        self._now = clock.monotonic
        self._queues: dict[Step | None, deque[_QueuedCaller]] = {
            step: deque() for step in (*Step, _BACKGROUND)
        }
        self._held = dict.fromkeys(self._queues, _NEVER)
        self._all_held = _NEVER
        self._has_queue = False
        self._tickets = 0
        self._granted_at = _NEVER
        self._spare_until = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = _NEVER

    def try_acquire(self, step: Step) -> Permit | None:  # noqa: ARG002 - a step that is held makes all wait
        """Return the right to make one request if it is due and nobody waits for it, else None."""
        return None if self._has_queue else self._grant(self._now())

    async def acquire(self, step: Step) -> Permit | None:
        """Wait for the right to make one request; None if the wait was cancelled."""
        return self.try_acquire(step) or await self._wait(step)

    async def acquire_background(self) -> Permit:
        """Wait for the right to make a request of no step; see `ports.BackgroundPacer`."""
        permit = None if self._has_queue else self._grant(self._now())
        permit = permit or await self._wait(_BACKGROUND)
        if permit is None:
            raise AssertionError("the wait of a background request was cancelled")
        return permit

    def enqueue(self, step: Step, future: asyncio.Future[Permit | None]) -> Callable[[], None]:
        """Queue a future that may be in the queues of other pacers; see `ports.Pacer`."""
        return partial(self._leave_queue, step, self._enqueue(step, future))

    def hold(self, step: Step | None, seconds: float) -> None:
        """Permit nothing for ``step`` (None: nothing at all) for so long."""
        until = self._now() + seconds
        if step is None:
            self._all_held = max(self._all_held, until)
            self._schedule.record_refusal(self._now())
        else:
            self._held[step] = max(self._held[step], until)
            self._has_queue = True
        self._pump()

    def hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held from now on; 0 if it is not."""
        return max(self._held[step], self._all_held, now := self._now()) - now

    def endpoint_hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held by a limit of its own; 0 if it is not."""
        return max(self._held[step] - self._now(), 0.0)

    def cancel_waiters(self, *, checks_only: bool) -> None:
        """Return None to every waiting caller, or to every one that waits for a check."""
        for step in (Step.CHECK, Step.CHECK_MANY) if checks_only else Step:
            queue = self._queues[step]
            while queue:
                _resolve(queue.popleft(), None)
        self._pump()

    @property
    def rate(self) -> float:
        """Requests per second at which permits are granted at present."""
        return self._schedule.rate

    @property
    def quota(self) -> QuotaUse:
        """What was used of the quota in the last whole window; see `ports.Pacer`."""
        return self._schedule.quota_use(self._now())

    def record(self, number: int, granted: float, reading: QuotaReading) -> None:
        """Take the platform's count; for permits only."""
        self._schedule.record(number, granted, self._now(), reading)

    def take_back(self) -> None:
        """Take back a permit that was not used, for the next waiter; for permits only."""
        self._schedule.uncount_sent()
        self._spare_until = self._now() + self._schedule.slack / 2
        self._pump()

    async def _wait(self, step: Step | None) -> Permit | None:
        future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
        waiter = self._enqueue(step, future)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave_queue(step, waiter)
            granted = None if future.cancelled() or not future.done() else future.result()
            if granted is not None:
                granted.release()
            self._pump()
            raise

    def _enqueue(self, step: Step | None, future: asyncio.Future[Permit | None]) -> _QueuedCaller:
        self._tickets += 1
        waiter = _QueuedCaller(self._tickets, future)
        queue = self._queues[step]
        queue.append(waiter)
        self._has_queue = True
        if len(queue) == 1 or self._timer is None:  # else the timer is set for those before it
            self._pump()
        return waiter

    def _leave_queue(self, step: Step | None, waiter: _QueuedCaller) -> None:
        """Remove a waiter that was served elsewhere, or is cancelled."""
        if waiter in self._queues[step]:
            self._queues[step].remove(waiter)

    def _grant(self, now: float) -> Permit | None:
        """Return a permit if one is due."""
        if now < self._all_held:
            return None
        if now < self._spare_until:
            self._spare_until = _NEVER
        elif not self._fill_bucket(now):
            return None
        self._granted_at = now
        return _Permit(self, self._schedule.count_sent(), now)

    def _fill_bucket(self, now: float) -> bool:
        """Add one request to the bucket; False if it has no room, or none is due."""
        spacing, bucket = self._schedule.spacing(now), self._bucket
        capacity = bucket.max_rate = self._schedule.capacity
        if spacing > capacity and now < self._granted_at + spacing:
            return False
        is_first = self._granted_at == _NEVER  # no burst after the end of another process
        amount = capacity if is_first else min(spacing, capacity)
        if not bucket.has_capacity(amount):
            return False
        try:
            bucket.acquire(amount).send(None)
        except StopIteration:  # with capacity it returns without waiting
            return True
        raise AssertionError("the limiter waits although it has capacity")

    def _pump(self) -> None:
        """Grant all permits that are due, then set the timer for the next."""
        now = self._now()
        while (queue := self._next_queue(now)) is not None:
            if queue[0].future.done():
                queue.popleft()
                continue
            permit = self._grant(now)
            if permit is None:
                break
            _resolve(queue.popleft(), permit)
        self._has_queue = any(self._queues.values()) or max(self._held.values()) > now
        self._set_timer(now)

    def _next_queue(self, now: float) -> deque[_QueuedCaller] | None:
        """Return the queue of the next waiter: sends in the order they came, then the others."""
        notify, opening = self._ready(Step.NOTIFY, now), self._ready(Step.OPEN, now)
        if notify and opening:
            return min(notify, opening, key=lambda queue: queue[0].ticket)
        if sends := notify or opening:
            return sends
        for step in _AFTER_SENDS:
            if queue := self._ready(step, now):
                return queue
        return None

    def _ready(self, step: Step | None, now: float) -> deque[_QueuedCaller] | None:
        queue = self._queues[step]
        return queue if queue and self._held[step] <= now else None

    def _set_timer(self, now: float) -> None:
        held = [self._held[step] for step, queue in self._queues.items() if queue]
        due = max(min(held), self._all_held, self._next_grant(now)) if held else _NEVER
        if self._timer is not None:
            if abs(due - self._timer_due) < _SAME_MOMENT:
                return
            self._timer.cancel()
            self._timer = None
        if held:
            loop = asyncio.get_running_loop()
            self._timer_due = due
            self._timer = loop.call_later(max(due - now, _SHORTEST_WAIT), self._run_timer)

    def _run_timer(self) -> None:
        self._timer = None
        self._pump()

    def _next_grant(self, now: float) -> float:
        """Return when to try again: a permit is due then, or the spacing is planned again."""
        due = self._granted_at + self._schedule.spacing(now)
        return min(due, now + self._schedule.plan_seconds)


def _resolve(waiter: _QueuedCaller, result: Permit | None) -> None:
    if not waiter.future.done():
        waiter.future.set_result(result)
