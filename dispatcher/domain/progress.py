"""How far a contact has come over all its attempts, and what an outcome makes of that."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dispatcher.domain.conversation import Target
from dispatcher.domain.status import Step


@dataclass(frozen=True, slots=True)
class Progress:
    """What the ledger remembers of a contact between two claims.

    ``attempts`` counts passing faults, ``refusals_notify`` and ``refusals_open`` count refusals
    although the state that was read permitted the step, ``unknown`` counts unknown states,
    ``not_ended_since`` (seconds since the epoch) is when it was first found closed but not
    ended. With ``open_next`` the next step is open linked without another state check, with
    what the closed session's refusal and the check before it told: ``target`` and
    ``external_contact_id``. ``sends`` counts the requests that left, ``forbidden_at`` (seconds
    since the epoch) is when the contact was refused with 403 although scopes were fine,
    ``doubted_at`` (the same, by the platform's clock) when the last send ended in doubt,
    ``engaged_since`` (the same) when its session was first found open and not to be written
    into; another state, or a send, ends that.
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

    def count_send(self) -> "Progress":
        """Count a send; whether the next one needs a state check is open again."""
        return Progress(
            self.attempts,
            self.refusals_notify,
            self.refusals_open,
            self.unknown,
            self.not_ended_since,
            False,  # noqa: FBT003 - by place, since this is made for every contact
            self.target,
            self.external_contact_id,
            self.sends + 1,
            self.forbidden_at,
        )

    def count_refusal(self, step: Step) -> "Progress":
        """Count one refusal of ``step`` that the state read did not explain."""
        if step is Step.NOTIFY:
            return replace(self, refusals_notify=self.refusals_notify + 1)
        return replace(self, refusals_open=self.refusals_open + 1)

    def refusals(self, step: Step) -> int:
        """Tell how often ``step`` was refused although the state permitted it."""
        return self.refusals_notify if step is Step.NOTIFY else self.refusals_open


NEW = Progress()
"""The progress of a contact that nothing was done for yet."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The bounds of all retrying; times in seconds."""

    max_attempts: int = 8
    loop_after: int = 3
    not_ended_seconds: float = 5.0
    not_ended_max_seconds: float = 3600.0
    backoff_seconds: float = 1.0
    backoff_max_seconds: float = 300.0

    def backoff(self, attempt: int, jitter: Callable[[], float]) -> float:
        """Seconds to wait before attempt ``attempt`` + 1: exponential, jittered by half.

        ``jitter`` gives a number from 0 to 1.
        """
        full = min(self.backoff_max_seconds, self.backoff_seconds * 2.0 ** min(attempt - 1, 30))
        return full * (0.5 + 0.5 * jitter())
