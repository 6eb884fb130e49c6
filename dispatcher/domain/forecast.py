"""What a run would make of a contact, and what a sample says of all: pure estimates."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import DecisionPolicy, Finish, Notify, Open, Wait, decide, open_with
from dispatcher.domain.next_step import MIN_RECHECK_SECONDS, after_engaged
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, RetryReason, Status

DEVIATIONS = 1.96
"""Standard deviations to each side that hold 95% of what chance does."""

Outcome = tuple[Status, Reason]
"""A final status with its reason."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would make of one contact.

    ``checks`` and ``sends`` are requests, the first state check among them; ``waits`` is why it
    would be deferred at first, and ``seconds`` for how long at least.
    """

    status: Status
    reason: Reason
    checks: int = 0
    sends: int = 0
    waits: RetryReason | None = None
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        """All requests of the contact."""
        return self.checks + self.sends


def forecast_unchecked(
    contact: Contact, progress: Progress, rules: DecisionPolicy, now: float
) -> Forecast | None:
    """Tell what becomes of a contact that needs no state check; None where it needs one.

    ``now`` is in seconds since the epoch.
    """
    if contact.expires_at is not None and now >= contact.expires_at:
        return Forecast(Status.SKIPPED, Reason.EXPIRED)
    if not progress.open_next:
        return None
    decision = open_with(contact, None, progress, contact.conversation_id, rules)
    if isinstance(decision, Finish):
        return Forecast(decision.status, decision.reason)
    return Forecast(Status.OPENED, Reason.DELIVERED, sends=1)


def forecast(
    contact: Contact, seen: Conversation, progress: Progress, rules: DecisionPolicy, now: float,
    ended_after: float,
) -> Forecast:  # fmt: skip
    """Tell what becomes of a contact whose state check says ``seen``.

    ``ended_after`` is how many seconds a closed session is assumed to take until it is ended. A
    session that is open and not to be written into is assumed to be over at the next look.
    What only a send would show, a refusal, is not foreseen.
    """
    decision = decide(contact, seen, progress, rules, now)
    match decision:
        case Notify():
            return Forecast(Status.NOTIFIED, Reason.DELIVERED, checks=1, sends=1)
        case Open():
            return Forecast(Status.OPENED, Reason.DELIVERED, checks=1, sends=1)
        case Finish(status, reason):
            return Forecast(status, reason, checks=1)
        case Wait(RetryReason.NOT_ENDED):
            return _until_ended(progress, rules, now, ended_after)
        case Wait(RetryReason.ENGAGED):
            return _while_engaged(contact, progress, rules, now)
        case Wait(waits):
            return _while_unknown(progress, rules, waits)


def _until_ended(
    progress: Progress, rules: DecisionPolicy, now: float, ended_after: float
) -> Forecast:
    """Count the checks until the session is ended, or until the run gives it up."""
    policy, waits = rules.retry, RetryReason.NOT_ENDED
    pause = policy.not_ended_seconds or MIN_RECHECK_SECONDS
    since = now if progress.not_ended_since is None else progress.not_ended_since
    patience = max(0.0, since + policy.not_ended_max_seconds - now)
    again = max(1, ceil(min(ended_after, patience) / pause))
    if ended_after <= patience:
        return Forecast(Status.OPENED, Reason.DELIVERED, 1 + again, 1, waits, again * pause)
    return Forecast(Status.PARKED, Reason.NEVER_ENDED, 1 + again, 0, waits, again * pause)


def _while_engaged(
    contact: Contact, progress: Progress, rules: DecisionPolicy, now: float
) -> Forecast:
    """Count one more check, unless the contact expires before."""
    later = after_engaged(contact, progress, rules, now)
    if contact.expires_at is not None and now + later.seconds >= contact.expires_at:
        return Forecast(Status.SKIPPED, Reason.EXPIRED, 1, 0, later.reason, later.seconds)
    return Forecast(Status.OPENED, Reason.DELIVERED, 2, 1, later.reason, later.seconds)


def _while_unknown(progress: Progress, rules: DecisionPolicy, waits: RetryReason) -> Forecast:
    """Count the checks of a state that stays unknown."""
    attempts = range(progress.unknown + 1, rules.retry.max_attempts)
    seconds = sum(rules.retry.backoff(attempt, lambda: 0.5) for attempt in attempts)
    return Forecast(
        Status.PARKED, Reason.UNKNOWN_STATE, len(attempts) + 1, 0, waits, seconds
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interval:
    """A number, and the bounds between which it lies in 95 of 100 samples."""

    number: int
    low: int
    high: int

    def __add__(self, more: int) -> "Interval":
        return Interval(self.number + more, self.low + more, self.high + more)


def exactly(number: int) -> Interval:
    """Return a number that chance has no part in."""
    return Interval(number, number, number)


def estimate_count(hits: int, sample: int, whole: int) -> Interval:
    """Estimate how many of ``whole`` are like ``hits`` of a random ``sample``.

    Wilson's interval, corrected for a sample that is a large part of the whole; it never
    contradicts what was seen.
    """
    if not sample or sample >= whole:
        return Interval(hits, hits, hits if sample else whole)
    share = hits / sample
    size = sample * (whole - 1) / (whole - sample)
    z2 = DEVIATIONS**2
    middle = (share + z2 / (2 * size)) / (1 + z2 / size)
    spread = DEVIATIONS / (1 + z2 / size) * sqrt(share * (1 - share) / size + z2 / (4 * size**2))
    low = max(hits, int((middle - spread) * whole))
    high = min(whole - (sample - hits), ceil((middle + spread) * whole))
    return Interval(round(share * whole), low, high)


def estimate_total(total: int, squares: int, sample: int, whole: int) -> Interval:
    """Estimate a sum over ``whole`` from the sum and the sum of squares over a random sample.

    Two more contacts are imagined for the spread, one that costs nothing and one that costs
    twice the mean: a sample in which all are alike does not prove that all are.
    """
    if not sample or sample >= whole:
        return exactly(total)
    mean = total / sample
    variance = max(squares / sample - mean**2, 0.0) + 2 * mean**2 / sample
    spread = DEVIATIONS * sqrt(variance / sample * (1 - sample / whole)) * whole
    middle = mean * whole
    return Interval(round(middle), max(total, int(middle - spread)), ceil(middle + spread))


class SampleTotals:
    """Adds up what is foreseen, one contact after the other."""

    def __init__(self) -> None:
        self.contacts = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.waits: Counter[RetryReason] = Counter()
        self.seconds = 0.0
        """The longest wait of one contact."""
        self._totals: Counter[str] = Counter()
        self._squares: Counter[str] = Counter()

    def add(self, foreseen: Forecast) -> None:
        """Count one contact."""
        self.contacts += 1
        self.outcomes[foreseen.status, foreseen.reason] += 1
        if foreseen.waits is not None:
            self.waits[foreseen.waits] += 1
        self.seconds = max(self.seconds, foreseen.seconds)
        first = min(foreseen.checks, 1)
        self._count("checks", first)
        self._count("rechecks", foreseen.checks - first)
        self._count("sends", foreseen.sends)
        self._count("requests", foreseen.requests)

    def _count(self, name: str, number: int) -> None:
        self._totals[name] += number
        self._squares[name] += number**2

    def estimate(self, whole: int) -> "Estimate":
        """Take what was added for a random sample of ``whole`` contacts."""
        sample = self.contacts
        if whole and not sample:
            return without_states(whole)

        def total(name: str) -> Interval:
            return estimate_total(self._totals[name], self._squares[name], sample, whole)

        return Estimate(
            outcomes={key: estimate_count(n, sample, whole) for key, n in self.outcomes.items()},
            waits={key: estimate_count(n, sample, whole) for key, n in self.waits.items()},
            # where each contact of a sample takes a first check, each of the others does, too
            checks=exactly(whole) if self._totals["checks"] == sample else total("checks"),
            rechecks=total("rechecks"),
            sends=total("sends"),
            requests=total("requests"),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would do: contacts by outcome and by why they wait at first, and requests."""

    outcomes: Mapping[Outcome, Interval]
    waits: Mapping[RetryReason, Interval]
    checks: Interval
    rechecks: Interval
    sends: Interval
    requests: Interval

    def plus(self, known: SampleTotals) -> "Estimate":
        """Add contacts that were not sampled, because they need no state check."""
        exact = known.estimate(known.contacts)
        outcomes = dict(self.outcomes)
        for key, span in exact.outcomes.items():
            outcomes[key] = outcomes.get(key, exactly(0)) + span.number
        return Estimate(
            outcomes,
            self.waits,
            self.checks + exact.checks.number,
            self.rechecks + exact.rechecks.number,
            self.sends + exact.sends.number,
            self.requests + exact.requests.number,
        )


def without_states(contacts: int) -> Estimate:
    """Tell what is known of contacts whose states were not read: the requests' bounds."""
    return Estimate(
        {},
        {},
        exactly(contacts),
        exactly(0),
        Interval(contacts, 0, contacts),
        Interval(2 * contacts, contacts, 2 * contacts),
    )
