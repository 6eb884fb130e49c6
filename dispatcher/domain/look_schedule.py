"""Spreads the looks at sessions that are waited for, so that new contacts get most of the quota."""

import heapq
from collections.abc import Callable
from math import ceil, floor, log2
from typing import NamedTuple

from dispatcher.domain.progress import Progress

SHARE = 0.25
"""The share of requests that looks get by default while other contacts are ready."""
LEAST_PART = 0.2
"""The part of that share that repeated looks get at least, however many first ones there are."""
MOST_REMEMBERED = 20_000
"""The contacts whose looks are known here; those of all others come as the ledger has them due."""
BURST_SECONDS = 5.0
"""Looks of so many seconds may be made at once."""
LEAST_BURST = 8.0
"""Looks that may be made at once, however slow the quota is."""
MOST_DELAY = 0.25
"""The part of a pause by which a look may be put off so that it shares a request."""
_HALVED_AT = 2000
"""Requests after which older ones count half: the mix of a list changes."""
_UNKNOWN_REQUESTS = 20
"""Requests without a look that are assumed at first: a few do not show the mix of a list."""
_MARGIN = 0.92
"""The part of the share that is planned: some looks come in bursts."""
_LEAST_RATE = 1e-6
_SLACK = 1000
"""Forgotten contacts that may stay in the heap beside the others."""


class _Look(NamedTuple):
    """When a contact is due, and when it is looked at if others need the quota."""

    due: float
    planned: float


def waits(progress: Progress) -> bool:
    """Return True if the contact's session is waited for."""
    return progress.engaged_since is not None or progress.not_ended_since is not None


def next_common(due: float, pause: float) -> float:
    """Return the next moment that is common to looks after about the same pause.

    It is at most `MOST_DELAY` of the pause later. The moments are multiples of a power of two, so
    that those of longer pauses are moments of shorter ones, too.
    """
    if pause <= 0:
        return due
    grid = 2.0 ** floor(log2(MOST_DELAY * pause))
    return ceil(due / grid) * grid


class LookSchedule:
    """Plans when sessions that are waited for are looked at again.

    A look is a state check after which the contact waits. The first look at a session counts
    against ``share`` (from 0 to 1), too: so the other contacts get the rest of the quota, whatever
    part of the list waits. Times are in seconds since the epoch; ``rate`` returns the requests per
    second at present. With ``together`` looks that are due soon after each other are due at the
    same time, because they can share a request.
    """

    def __init__(
        self,
        share: float = SHARE,
        rate: Callable[[], float] = lambda: 1.0,
        *,
        together: bool = False,
    ) -> None:
        self._share = share
        self._rate = rate
        self._together = together
        self._requests = self._first_looks = 0.0
        self._planned_until = 0.0
        self._tokens, self._filled_at = LEAST_BURST, 0.0
        self._remembered: dict[int, _Look] = {}
        self._by_due: list[tuple[float, int]] = []
        self._by_plan: list[tuple[float, int]] = []
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

    def look_rate(self) -> float:
        """Return how many repeated looks may be made per second."""
        first = self._first_looks / (self._requests + _UNKNOWN_REQUESTS)
        share = self._share * _MARGIN
        return max(_LEAST_RATE, self._rate() * max(share - first, share * LEAST_PART))

    def plan(self, id_: int, due: float, now: float) -> float:
        """Return when the contact is looked at: at ``due``, or later if others need the quota."""
        planned = due = self.common(due, now)
        if not self.alone:
            self._planned_until = max(self._planned_until, now) + 1.0 / self.look_rate()
            planned = max(due, self._planned_until)
        if len(self._remembered) < MOST_REMEMBERED:
            self._remember(id_, _Look(due, planned))
        return planned

    def common(self, due: float, now: float) -> float:
        """Return when a contact is due so that its look can share a request."""
        return next_common(due, due - now) if self._together else due

    def permit(self, looks: int, now: float) -> int:
        """Return how many of so many looks that are due may be made now."""
        if self.alone:
            return looks
        refill = self.look_rate()
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
    def next_look(self) -> float | None:
        """When the next look may be made; None if none is known."""
        heap = self._by_due if self.alone else self._by_plan
        while heap and self._moment(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def take(self, now: float, most: int) -> list[int]:
        """Return up to ``most`` contacts whose looks may be made now; they are forgotten."""
        due: list[int] = []
        while len(due) < most and (at := self.next_look) is not None and at <= now:
            if not self.permit(1, now):
                break
            _, id_ = heapq.heappop(self._by_due if self.alone else self._by_plan)
            del self._remembered[id_]
            due.append(id_)
        if due and self.alone:
            self._planned_until = 0.0
        return due

    def _moment(self, id_: int) -> float | None:
        look = self._remembered.get(id_)
        if look is None:
            return None
        return look.due if self.alone else look.planned

    def _remember(self, id_: int, look: _Look) -> None:
        self._remembered[id_] = look
        heapq.heappush(self._by_due, (look.due, id_))
        heapq.heappush(self._by_plan, (look.planned, id_))
        limit = 2 * len(self._remembered) + _SLACK
        if len(self._by_due) > limit or len(self._by_plan) > limit:
            self._by_due = [(look.due, id_) for id_, look in self._remembered.items()]
            self._by_plan = [(look.planned, id_) for id_, look in self._remembered.items()]
            heapq.heapify(self._by_due)
            heapq.heapify(self._by_plan)
