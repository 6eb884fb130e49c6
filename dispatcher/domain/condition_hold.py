"""Keeps the condition steady: a cause is confirmed before it is named, and stays named a while."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dispatcher.domain.condition import HEALTHY, PRECEDENCE, Cause, Condition, Finding

NAMED_SECONDS = 15.0
"""A cause stays named at least so long: metrics are kept in buckets of 10 seconds."""
RELEASE_SECONDS = 6.0
"""A cause goes on for so long after the last evaluation that showed it: a halted run that resumes
with a probe and halts again has one cause, not many."""
CONFIRM_SECONDS: Mapping[Cause, float] = {
    # The clients of a pool are refused one after another for a cause that they share.
    Cause.CLIENT_HALTED: 10.0,
    # Longer than the 30 seconds after which an outage is known, which explains all of these.
    Cause.PLATFORM_ERRORS: 45.0,
    Cause.PLATFORM_SLOW: 45.0,
    Cause.CONTACTS_PARKED: 45.0,
    Cause.DOUBTS_PENDING: 45.0,
    Cause.TOKEN_UNSTABLE: 45.0,
    # A retry loop begins with conflicts.
    Cause.SESSIONS_CLOSING: 30.0,
    # A file that is being written, or a share that is mounted again.
    Cause.SOURCE_STALLED: 60.0,
    # One slow commit is a checkpoint.
    Cause.LEDGER_SLOW: 30.0,
    # The states between two batches of the source, or two contacts.
    Cause.QUIET_HOURS: 10.0,
    Cause.SOURCE_IDLE: 10.0,
}
"""How many seconds the facts must show a cause before it is named; 0 for the others."""


@dataclass(slots=True)
class _Shown:
    """A cause that the facts show: since when, when last, and its last evidence."""

    since: float
    last: float
    finding: Finding
    confirmed: bool = False


class ConditionHold:
    """Names causes in the course of time; times are seconds of any clock that does not go back.

    A cause that precedes the one that is named replaces it at once, because it explains it.
    """

    def __init__(self) -> None:
        self._shown: dict[Cause, _Shown] = {}
        self._named = Cause.OK
        self._named_at = float("-inf")
        self._since = 0.0

    def take(self, judged: Condition, now: float, epoch: float = 0.0) -> Condition:
        """Return the condition to show, by the one that the facts show ``now``.

        ``epoch`` is the same moment in seconds since the epoch, from which `Condition.since` is.
        """
        for finding in judged.findings:
            if finding.cause is not Cause.OK:
                self._show(finding, now)
        self._shown = {
            cause: shown for cause, shown in self._shown.items() if self._goes_on(cause, now)
        }
        lasting = sorted(
            (shown.finding for shown in self._shown.values() if shown.confirmed),
            key=lambda finding: PRECEDENCE[finding.cause],
        )
        primary, *others = lasting or [self._calm(judged)]
        if primary.cause is not self._named:
            self._named, self._named_at, self._since = primary.cause, now, epoch
        return Condition(primary, tuple(others), self._since)

    def _show(self, finding: Finding, now: float) -> None:
        shown = self._shown.setdefault(finding.cause, _Shown(now, now, finding))
        shown.last, shown.finding = now, finding
        if now - shown.since >= CONFIRM_SECONDS.get(finding.cause, 0.0):
            shown.confirmed = True

    def _goes_on(self, cause: Cause, now: float) -> bool:
        if cause is self._named and now - self._named_at < NAMED_SECONDS:
            return True
        return now - self._shown[cause].last <= RELEASE_SECONDS

    def _calm(self, judged: Condition) -> Finding:
        """Return that nothing is wrong: what is not confirmed yet is not shown."""
        if judged.cause is Cause.OK:
            return judged.primary
        return replace(HEALTHY.primary)
