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

    def round_at(self, times: Sequence[float]) -> float:
        """Return when the next look back is made (seconds since the epoch).

        ``times`` are when contacts in doubt are due, the earliest first: `COMPANIONS` of them, or
        all. The first one waits until so many are due, or all, but not longer than its patience.
        """
        return min(times[min(len(times), COMPANIONS) - 1], times[0] + self.patience)

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

    def shown_from(self, send: UnsettledSend) -> float:
        """Return from when on a message of ``send`` is probably shown (platform's clock)."""
        if self.lag is None:
            return send.at
        ended = send.ended_at if send.ended_at is not None else send.at + self.policy.timeout
        return ended + self.lag

    def next_look(self, send: UnsettledSend, at: float) -> float:
        """Return when to look again after a look at ``at`` proved nothing (platform's clock)."""
        bound = self.policy.visible_by(send)
        if at <= bound:
            return bound + JUST_AFTER + (0.0 if self.policy.resend else self._evidence_lag)
        return at + self.policy.pause(at - bound)

    @property
    def _evidence_lag(self) -> float:
        """Seconds from a moment until a record from after it is probably shown."""
        if self.lag is not None:
            return self.lag
        return max(self.policy.look_seconds, self.policy.max_lag * UNKNOWN_LAG_SHARE)
