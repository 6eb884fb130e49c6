"""Plans look backs: few of them, for many contacts each, at times when an answer can be new."""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.unsettled_send import UnsettledSend

COMPANIONS = 20
"""Contacts for which a look back is made without waiting for more of them."""
MIN_PATIENCE_SECONDS = 60.0
"""The least time that a contact waits for companions, where others are expected."""
UNKNOWN_LAG_SHARE = 0.25
"""Part of ``max_lag`` that is taken for the lag until a look back has shown one."""
SHARED_RETRY = 1.5
"""For how many of its pauses a contact waits for a look that is planned already."""
JUST_AFTER = 0.001
"""Seconds after a bound: at the bound itself nothing is proved yet."""


@dataclass(slots=True)
class LookBackPlan:
    """When look backs are made, by what they have shown so far.

    A contact is looked for as soon as its message is probably shown, and then when its absence can
    be proved: between the two an answer is rarely new. Later looks come at growing pauses.
    ``lag`` is the shortest lag of a newest record so far, in seconds; None: none was shown yet.
    """

    policy: ReconcilePolicy
    lag: float | None = None
    last_round: float = float("-inf")
    """When the last look back was made (seconds since the epoch)."""
    began_at: float = float("-inf")
    """When the run began to look (platform's clock)."""
    _retry_at: float = float("-inf")
    """When contacts are looked for again for which only evidence is missing (platform's clock)."""

    def round_at(self, times: Sequence[float], *, more_expected: bool) -> float:
        """Return when the next look back is made (seconds since the epoch).

        ``times`` are when contacts in doubt are due, the earliest first: `COMPANIONS` of them, or
        all. The first one waits until so many are due, or all, but not longer than its patience.
        With ``more_expected`` messages are still sent, so more contacts may come to be in doubt:
        then all that are known now are looked for at once only if the last look back is long ago.
        """
        together = times[min(len(times), COMPANIONS) - 1]
        if more_expected and len(times) < COMPANIONS:
            together = max(together, self.last_round + self.patience)
        return min(together, times[0] + self.patience)

    @property
    def patience(self) -> float:
        """The longest time in seconds that a due contact waits for companions."""
        return max(MIN_PATIENCE_SECONDS, self.policy.visible_within / 2)

    def observe(self, at: float, newest: float) -> None:
        """Learn from a look back made at ``at`` whose newest record is from ``newest``.

        Both are seconds since the epoch by the platform's clock; ``newest`` is minus infinity if
        there was none.
        """
        age = at - newest
        if 0.0 <= age <= self.policy.max_lag:
            self.lag = age if self.lag is None else min(self.lag, age)

    def useful_from(self, send: UnsettledSend, *, looked: bool) -> float:
        """Return from when on a look can settle ``send`` (platform's clock), by the known lag.

        The first look finds its message; after one (``looked``) a look proves its absence.
        """
        if looked:
            return self.policy.visible_by(send) + (0.0 if self.policy.resend else self.lag or 0.0)
        if self.lag is None:
            return send.at
        ended = send.ended_at if send.ended_at is not None else send.at + self.policy.timeout
        return ended + self.lag

    def next_look(self, send: UnsettledSend, at: float, overdue: float = 0.0) -> float:
        """Return when to look again after a look at ``at`` proved nothing (platform's clock).

        ``overdue`` is for how many seconds the first contact of the look has been over its bound.
        After their bounds all contacts wait for the same evidence, so they share the next look.
        Pauses are never longer than the run: its own messages may be the evidence.
        """
        bound = self.policy.visible_by(send)
        if at <= bound:
            return bound + JUST_AFTER + (0.0 if self.policy.resend else self._evidence_lag)
        pause = self.policy.pause(min(max(overdue, at - bound), at - self.began_at))
        if not at < self._retry_at <= at + SHARED_RETRY * pause:
            self._retry_at = at + pause
        return self._retry_at

    @property
    def _evidence_lag(self) -> float:
        """Seconds from a moment until a record from after it is probably shown."""
        if self.lag is not None:
            return self.lag
        return max(self.policy.look_seconds, self.policy.max_lag * UNKNOWN_LAG_SHARE)
