"""Counters and facts of a contact over all its attempts, and the limits of retrying."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dispatcher.domain.conversation import Target
from dispatcher.domain.status import Step
from dispatcher.domain.value_class import value_class


@value_class
class Progress:
    """What the ledger stores about a contact between two claims. Times: seconds since the epoch.

    ``attempts`` counts temporary faults, ``unknown`` the attempts that unknown states took.
    ``refusals_notify`` and ``refusals_open`` count refusals although the state permitted the step.
    ``not_ended_since`` is when the conversation was first seen closed but not ended.
    With ``open_next`` the next step is an open without another state check, to ``target`` and
    ``external_contact_id``, which the refusal or the check before it reported. ``sends`` counts
    the requests that left. ``forbidden_at`` is when the contact was refused with 403 although the
    token had its scopes. ``doubted_at`` is when the last send ended in doubt, by the platform's
    clock. ``engaged_since`` is when the session was first seen open without permission to send
    into it; another state or a send resets it. ``suspected`` is the kind of refusal for which the
    contact was put back, because most contacts were refused alike (`RefusalKind.key`).
    """

    attempts: int = 0
    refusals_notify: int = 0
    refusals_open: int = 0
    unknown: int = 0
    not_ended_since: float | None = None
    open_next: bool = False
    target: Target | None = field(default=None, repr=False)
    external_contact_id: str | None = None
    sends: int = 0
    forbidden_at: float | None = None
    doubted_at: float | None = None
    engaged_since: float | None = None
    suspected: str | None = None

    def count_send(self) -> "Progress":
        """Count a send; reset ``open_next``, ``doubted_at`` and ``engaged_since``."""
        if self is NEW:
            return _SENT_ONCE  # most contacts: made once, and found at once where it is looked up
        return Progress(  # half the time of `replace`, for every contact
            attempts=self.attempts,
            refusals_notify=self.refusals_notify,
            refusals_open=self.refusals_open,
            unknown=self.unknown,
            not_ended_since=self.not_ended_since,
            open_next=False,
            target=self.target,
            external_contact_id=self.external_contact_id,
            sends=self.sends + 1,
            forbidden_at=self.forbidden_at,
            doubted_at=None,
            engaged_since=None,
            suspected=self.suspected,
        )

    def count_refusal(self, step: Step) -> "Progress":
        """Count a refusal of ``step`` although the state permitted it."""
        if step is Step.NOTIFY:
            return replace(self, refusals_notify=self.refusals_notify + 1)
        return replace(self, refusals_open=self.refusals_open + 1)

    def refusals(self, step: Step) -> int:
        """Return how often ``step`` was refused although the state permitted it."""
        return self.refusals_notify if step is Step.NOTIFY else self.refusals_open


NEW = Progress()
"""The progress of a new contact."""
_SENT_ONCE = Progress(sends=1)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limits of all retries; times in seconds."""

    max_attempts: int = 8
    loop_after: int = 3
    not_ended_seconds: float = 5.0
    not_ended_max_seconds: float = 3600.0
    backoff_seconds: float = 1.0
    backoff_max_seconds: float = 300.0

    def backoff(self, attempt: int, jitter: Callable[[], float]) -> float:
        """Return seconds to wait before attempt ``attempt`` + 1: exponential, half of it random.

        ``jitter`` returns a number from 0 to 1.
        """
        return self._longest_backoff(attempt) * (0.5 + 0.5 * jitter())

    def next_unknown(self, unknown: int) -> int:
        """Return the value of ``Progress.unknown`` at the next look at an unknown state.

        A pause takes twice as many attempts as the one before it. A last pause that would take
        fewer is part of this one, so that pauses only grow, and none goes beyond
        ``max_attempts`` - 1, at which the contact is parked.
        """
        last = max(self.max_attempts - 1, unknown + 1)
        attempts = unknown + 1
        left = last - unknown - attempts
        return last if left < 2 * attempts else unknown + attempts

    def unknown_pause(self, unknown: int, jitter: Callable[[], float]) -> float:
        """Return seconds until the next look at an unknown state: those of its attempts' backoffs.

        So the whole wait is as long as that of ``max_attempts`` attempts, with fewer requests.
        """
        attempts = range(unknown + 1, self.next_unknown(unknown) + 1)
        return sum(map(self._longest_backoff, attempts)) * (0.5 + 0.5 * jitter())

    def _longest_backoff(self, attempt: int) -> float:
        return min(self.backoff_max_seconds, self.backoff_seconds * 2.0 ** min(attempt - 1, 30))
