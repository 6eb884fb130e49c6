"""Spreads the looks at sessions that are waited for, so that new contacts get most of the quota."""

import heapq

from dispatcher.domain.progress import Progress

SHARE = 0.25
"""The share of requests that looks get by default while other contacts are ready."""
LEAST_PART = 0.2
"""The part of that share that repeated looks get at least, however many first ones there are."""
MOST_REMEMBERED = 20_000
"""The contacts whose looks can be made earlier again when nothing else is left to do."""
BURST_SECONDS = 5.0
"""Looks of so many seconds may be made at once."""
LEAST_BURST = 8.0
"""Looks that may be made at once, however slow the quota is."""
_HALVED_AT = 2000
"""Requests after which older ones count half: the mix of a list changes."""
_UNKNOWN_REQUESTS = 50
"""Requests without a look that are assumed at first: a few do not show the mix of a list."""
_LEAST_RATE = 1e-6
_SLACK = 1000
"""Forgotten contacts that may stay in the heap beside the others."""


def waits(progress: Progress) -> bool:
    """Return True if the contact's session is waited for."""
    return progress.engaged_since is not None or progress.not_ended_since is not None


class LookSchedule:
    """Plans when sessions that are waited for are looked at again.

    A look is a state check after which the contact waits. The first look at a session counts
    against ``share`` (from 0 to 1), too: so the other contacts get the rest of the quota, whatever
    part of the list waits. Times are in seconds since the epoch, rates in requests per second.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._requests = self._first_looks = 0.0
        self._planned_until = 0.0
        self._tokens, self._filled_at = LEAST_BURST, 0.0
        self._early: list[tuple[float, int]] = []
        self._remembered: dict[int, float] = {}
        self.alone = False
        """Whether no other contact is ready: then looks may use the whole quota."""

    def count_request(self) -> None:
        """Count a request of any kind."""
        self._requests += 1.0
        if self._requests >= _HALVED_AT:
            self._requests /= 2.0
            self._first_looks /= 2.0

    def count_first_look(self) -> None:
        """Count a first look, which has shown that the session has to be waited for."""
        self._first_looks += 1.0

    def look_rate(self, rate: float) -> float:
        """Return how many repeated looks may be made per second, of ``rate`` requests."""
        first = self._first_looks / (self._requests + _UNKNOWN_REQUESTS)
        return max(_LEAST_RATE, rate * max(self._share - first, self._share * LEAST_PART))

    def plan(self, id_: int, due: float, now: float, rate: float) -> float:
        """Return when the contact is looked at: at ``due``, or later if others need the quota."""
        if self.alone:
            return due
        self._planned_until = max(self._planned_until, now) + 1.0 / self.look_rate(rate)
        if self._planned_until <= due:
            return due
        if len(self._remembered) < MOST_REMEMBERED:
            self._remember(id_, due)
        return self._planned_until

    def permit(self, looks: int, now: float, rate: float) -> int:
        """Return how many of so many looks that are due may be made now."""
        if self.alone:
            return looks
        refill = (
            self.look_rate(rate) * 1.2
        )  # what was planned comes in time, whatever the timers do
        burst = max(LEAST_BURST, refill * BURST_SECONDS)
        self._tokens = min(burst, self._tokens + refill * max(0.0, now - self._filled_at))
        self._filled_at = now
        permitted = min(looks, int(self._tokens))
        self._tokens -= permitted
        return permitted

    def forget(self, id_: int) -> None:
        """Forget a contact that is looked at now."""
        self._remembered.pop(id_, None)

    @property
    def next_early(self) -> float | None:
        """When the first contact is due of those that were put off; None if there is none."""
        while self._early and self._remembered.get(self._early[0][1]) != self._early[0][0]:
            heapq.heappop(self._early)
        return self._early[0][0] if self._early else None

    def take_early(self, now: float, most: int) -> list[int]:
        """Return up to ``most`` contacts that were put off and are due; they are forgotten."""
        found: list[int] = []
        while len(found) < most and (due := self.next_early) is not None and due <= now:
            _, id_ = heapq.heappop(self._early)
            del self._remembered[id_]
            found.append(id_)
        if found:
            self._planned_until = 0.0
        return found

    def _remember(self, id_: int, due: float) -> None:
        self._remembered[id_] = due
        heapq.heappush(self._early, (due, id_))
        if len(self._early) > 2 * len(self._remembered) + _SLACK:
            self._early = [(due, id_) for id_, due in self._remembered.items()]
            heapq.heapify(self._early)
