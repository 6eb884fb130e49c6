"""Whether clients can post: nothing but refusals, which only a person can end, is a fault."""

import time
from collections.abc import Callable
from http import HTTPStatus

LEAST_REFUSED = 10
"""Fewer posts in a row are somebody's try."""
FORGET_SECONDS = 300.0
"""So long after the last refusal the client has given up, or it was no client."""
_COME_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals after which a client only has to repeat the post."""


class RefusedPosts:
    """Counts the refusals since the last post that was accepted."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._count = 0
        self._first = self._last = 0.0
        self._status = HTTPStatus.OK

    def note(self, status: HTTPStatus) -> None:
        """Take note of the answer to a post."""
        if status < HTTPStatus.MULTIPLE_CHOICES:
            self._count = 0
        elif status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _COME_AGAIN:
            now = self._monotonic()
            if now - self._last > FORGET_SECONDS:
                self._count = 0
            self._first = self._first if self._count else now
            self._count, self._last, self._status = self._count + 1, now, status

    @property
    def reason(self) -> str:
        """Why no contact comes, for people; empty if nothing shows that clients are refused."""
        now = self._monotonic()
        if self._count < LEAST_REFUSED or now - self._last > FORGET_SECONDS:
            return ""
        status = self._status
        return (
            f"all {self._count} posts of the last {now - self._first:.0f} s were refused, at last "
            f"with {status.value} {status.phrase}"
        )
