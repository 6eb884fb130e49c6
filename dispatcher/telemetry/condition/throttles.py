"""Finds out for how long answers 429 have held requests back."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dispatcher.domain.condition_facts import Throttle
from dispatcher.domain.condition_throttle import HELD_BACK_SECONDS, THROTTLE_SILENCE
from dispatcher.domain.events import Answered, Throttled
from dispatcher.domain.status import Step
from dispatcher.telemetry.condition.windows import RollingSums

_MILLISECONDS = 1000
_LONGEST_KEY = 80
"""Characters of a limit's key that are shown: it comes from the platform."""


@dataclass(slots=True)
class _Streak:
    """Answers 429 without a good one; ``until`` is the end of the hold, ``counted`` what is summed.

    Times are those of the clock.
    """

    since: float
    last: float
    counted: float
    until: float = 0.0
    longest: float = 0.0
    refusals: int = 0

    @property
    def end(self) -> float:
        """When the last 429 came, or its hold ends."""
        return max(self.last, self.until)


class _Scope:
    """The requests of a client, or those of one step."""

    def __init__(self, client: str, step: Step | None) -> None:
        self.client, self.step = client, step
        self.streak: _Streak | None = None
        self.correlation_id = ""
        self._limit_key = ""
        self._sums = RollingSums(HELD_BACK_SECONDS)
        self._counts: Counter[str] = Counter()
        self._longest = self._passed = 0.0

    def refuse(self, now: float, correlation_id: str) -> None:
        """Note a 429. After a long silence it has nothing to do with those before."""
        if self.streak is None or now - self.streak.end > THROTTLE_SILENCE:
            self.streak = _Streak(now, now, now)
        self.streak.last = now
        self.streak.refusals += 1
        self._counts["refusals"] += 1
        self.correlation_id = correlation_id

    def hold(self, now: float, event: Throttled) -> None:
        """Note for how long a 429 holds requests."""
        if self.streak is not None:
            self.streak.until = max(self.streak.until, now + event.seconds)
            self.streak.longest = max(self.streak.longest, event.seconds)
            self._longest = event.seconds
            self._limit_key = event.limit_key[:_LONGEST_KEY]

    def pass_one(self, now: float, seconds: float) -> None:
        """Note a good answer. One to a request from before the last 429 ends no hold."""
        streak, sent_at = self.streak, now - seconds
        if streak is None or sent_at < streak.since:
            return
        if sent_at < streak.last:
            self._begin_again(streak, sent_at)
            return
        self._count(streak, now)
        self.streak, self._passed = None, now

    def restart(self, now: float) -> None:
        """Count from now on only."""
        self._sums.clear()
        self._counts.clear()
        if self.streak is not None:
            self.streak.since = self.streak.counted = now

    def describe(self, now: float) -> Throttle | None:
        """Return what is held back; None if nothing was for five minutes."""
        if self.streak is not None:
            self._count(self.streak, now)
            self._passed = self.streak.end
            if now - self._passed > THROTTLE_SILENCE:
                self.streak = None
        self._sums.push(self._counts, now)
        self._counts.clear()
        held_back = max(0, self._sums["held_back"]) / _MILLISECONDS
        recent = self._sums["refusals"]
        streak = self.streak
        if streak is None and not held_back:
            return None
        ends = self._passed
        return Throttle(
            seconds=0.0 if streak is None else max(0.0, min(now, ends) - streak.since),
            silence=max(0.0, now - ends),
            refusals=recent if streak is None else max(recent, streak.refusals),
            retry_after=self._longest if streak is None else streak.longest,
            hold=max(0.0, ends - now),
            held_back=held_back,
            step=self.step or "",
            limit_key=self._limit_key,
            correlation_id=self.correlation_id,
            client=self.client,
        )

    def _begin_again(self, streak: _Streak, sent_at: float) -> None:
        """Begin with the last 429: a request got through between it and an earlier one.

        Where 429 come at once, and good answers take longer, no good answer is newer than all 429.
        """
        self._count(streak, sent_at)
        through = min(streak.counted, streak.last) - sent_at
        self._counts["held_back"] -= round(max(0.0, through) * _MILLISECONDS)
        streak.counted = max(streak.counted, streak.last)
        streak.since, streak.refusals = streak.last, 1

    def _count(self, streak: _Streak, now: float) -> None:
        until = min(now, streak.end)
        if until > streak.counted:
            self._counts["held_back"] += round((until - streak.counted) * _MILLISECONDS)
            streak.counted = until


class Throttles:
    """Follows the answers 429 of each client and step; ``monotonic`` is the clock.

    Analytics have steps of their own, which show nothing about state checks and sends; but a 429 to
    them may hold all requests.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._scopes: dict[tuple[str, Step | None], _Scope] = {}
        self._correlation_id = ""

    @property
    def lasting(self) -> bool:
        """Whether there was a 429 and no good answer since, for any client or step."""
        return any(scope.streak is not None for scope in self._scopes.values())

    def refuse(self, event: Answered) -> None:
        """Note a 429 to a state check or send."""
        self._correlation_id = event.correlation_id
        self._scope(event.client, event.step).refuse(self._monotonic(), event.correlation_id)

    def hold(self, event: Throttled) -> None:
        """Note what a 429 holds: one step, or all requests of the client."""
        now = self._monotonic()
        if event.step is None:
            self._scope(event.client, None).refuse(now, self._correlation_id)
        for (client, step), scope in self._scopes.items():
            if client == event.client and (event.step is None or step is event.step):
                scope.hold(now, event)

    def pass_one(self, event: Answered) -> None:
        """Note a good answer; one of analytics ends what holds all requests of the client."""
        now = self._monotonic()
        for key in ((event.client, None), (event.client, event.step)):
            if key in self._scopes:
                self._scopes[key].pass_one(now, event.seconds)

    def restart(self, client: str) -> None:
        """Note the end of a client's halt, which explains the time before."""
        for (halted, _), scope in self._scopes.items():
            if halted == client:
                scope.restart(self._monotonic())

    def describe(self, now: float) -> tuple[Throttle, ...]:
        """Return what is held back at present, or was in the last five minutes."""
        return tuple(filter(None, (scope.describe(now) for scope in self._scopes.values())))

    def _scope(self, client: str, step: Step | None) -> _Scope:
        scope = self._scopes.get((client, step))
        if scope is None:
            scope = self._scopes[client, step] = _Scope(client, step)
        return scope
