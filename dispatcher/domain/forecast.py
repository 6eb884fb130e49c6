"""Forecasts the outcome of a contact, and estimates totals from a random sample."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import DecisionPolicy, Finish, Notify, Open, Wait, decide, open_with
from dispatcher.domain.next_step import after_engaged, pause
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Reason, RetryReason, Status

DEVIATIONS = 1.96
"""Standard deviations to each side of a 95% interval."""

Outcome = tuple[Status, Reason]
"""A final status with its reason."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected outcome of one contact.

    ``checks`` (with the first one) and ``sends`` are numbers of requests. ``waits`` is the reason
    of the first deferral, ``seconds`` the minimum time that the contact is deferred.
    """

    status: Status
    reason: Reason
    checks: int = 0
    sends: int = 0
    wait_reason: RetryReason | None = None
    wait_seconds: float = 0.0

    @property
    def requests(self) -> int:
        """The number of all requests."""
        return self.checks + self.sends


def forecast_unchecked(
    contact: Contact, progress: Progress, policy: DecisionPolicy, now: float
) -> Forecast | None:
    """Return the forecast of a contact that needs no state check; None if it needs one.

    ``now`` is in seconds since the epoch.
    """
    if contact.expires_at is not None and now >= contact.expires_at:
        return Forecast(Status.SKIPPED, Reason.EXPIRED)
    if not progress.open_next:
        return None
    decision = open_with(contact, None, progress, contact.conversation_id, policy)
    if isinstance(decision, Finish):
        return Forecast(decision.status, decision.reason)
    return Forecast(Status.OPENED, Reason.DELIVERED, sends=1)


def forecast(
    contact: Contact, conversation: Conversation, progress: Progress, policy: DecisionPolicy,
    now: float, ended_after: float,
) -> Forecast:  # fmt: skip
    """Return the forecast of a contact after its state check.

    ``ended_after`` is the assumed number of seconds until a closed session has ended. An open
    session that permits no send is assumed to have ended at the next check. Refusals of a send
    cannot be forecast.
    """
    decision = decide(contact, conversation, progress, policy, now)
    match decision:
        case Notify():
            return Forecast(Status.NOTIFIED, Reason.DELIVERED, checks=1, sends=1)
        case Open():
            return Forecast(Status.OPENED, Reason.DELIVERED, checks=1, sends=1)
        case Finish(status, reason):
            return Forecast(status, reason, checks=1)
        case Wait(RetryReason.NOT_ENDED):
            return _until_ended(progress, policy.retry, now, ended_after)
        case Wait(RetryReason.ENGAGED):
            return _while_engaged(contact, progress, policy, now)
        case Wait(waits):
            return _while_unknown(progress, policy, waits)


def _until_ended(
    progress: Progress, retry: RetryPolicy, now: float, ended_after: float
) -> Forecast:
    """Count the checks until the session has ended, or until the contact is parked."""
    reason = RetryReason.NOT_ENDED
    waited = 0.0 if progress.not_ended_since is None else now - progress.not_ended_since
    limit = retry.not_ended_max_seconds
    remaining = max(0.0, limit - waited)
    rechecks, seconds = 0, 0.0
    while not rechecks or seconds < min(ended_after, remaining):
        seconds += pause(retry.not_ended_seconds, waited + seconds, limit)
        rechecks += 1
    if ended_after <= remaining:
        return Forecast(Status.OPENED, Reason.DELIVERED, 1 + rechecks, 1, reason, seconds)
    return Forecast(Status.PARKED, Reason.NEVER_ENDED, 1 + rechecks, 0, reason, seconds)


def _while_engaged(
    contact: Contact, progress: Progress, policy: DecisionPolicy, now: float
) -> Forecast:
    """Count one more check, unless the contact expires before it."""
    deferral = after_engaged(contact, progress, policy, now)
    if contact.expires_at is not None and now + deferral.seconds >= contact.expires_at:
        return Forecast(Status.SKIPPED, Reason.EXPIRED, 1, 0, deferral.reason, deferral.seconds)
    return Forecast(Status.OPENED, Reason.DELIVERED, 2, 1, deferral.reason, deferral.seconds)


def _while_unknown(progress: Progress, policy: DecisionPolicy, reason: RetryReason) -> Forecast:
    """Count the checks of a state that stays unknown."""
    unknown, checks, seconds = progress.unknown, 1, 0.0
    while unknown + 1 < policy.retry.max_attempts:
        seconds += policy.retry.unknown_pause(unknown, lambda: 0.5)
        unknown = policy.retry.next_unknown(unknown)
        checks += 1
    return Forecast(Status.PARKED, Reason.UNKNOWN_STATE, checks, 0, reason, seconds)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95% confidence interval."""

    number: int
    low: int
    high: int

    def __add__(self, more: int) -> "Interval":
        return Interval(self.number + more, self.low + more, self.high + more)


def exactly(number: int) -> Interval:
    """Return an exact number as an interval."""
    return Interval(number, number, number)


def estimate_count(hits: int, sample: int, population: int) -> Interval:
    """Estimate how many of ``population`` have what ``hits`` of a random ``sample`` have.

    The interval is Wilson's, corrected for a sample that is a large part of the population. It
    never contradicts the sample.
    """
    if not sample or sample >= population:
        return Interval(hits, hits, hits if sample else population)
    share = hits / sample
    size = sample * (population - 1) / (population - sample)
    z2 = DEVIATIONS**2
    middle = (share + z2 / (2 * size)) / (1 + z2 / size)
    spread = DEVIATIONS / (1 + z2 / size) * sqrt(share * (1 - share) / size + z2 / (4 * size**2))
    low = max(hits, int((middle - spread) * population))
    high = min(population - (sample - hits), ceil((middle + spread) * population))
    return Interval(round(share * population), low, high)


def estimate_total(total: int, squares: int, sample: int, population: int) -> Interval:
    """Estimate a sum over ``population`` from the sum and the sum of squares of a random sample.

    The variance includes two assumed contacts, one with the value 0 and one with twice the mean:
    a sample with equal values does not prove that all values are equal.
    """
    if not sample or sample >= population:
        return exactly(total)
    mean = total / sample
    variance = max(squares / sample - mean**2, 0.0) + 2 * mean**2 / sample
    spread = DEVIATIONS * sqrt(variance / sample * (1 - sample / population)) * population
    middle = mean * population
    return Interval(round(middle), max(total, int(middle - spread)), ceil(middle + spread))


class SampleTotals:
    """Adds up the forecasts of single contacts."""

    def __init__(self) -> None:
        self.contacts = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.waits: Counter[RetryReason] = Counter()
        self.seconds = 0.0
        """The longest wait of one contact."""
        self._totals: Counter[str] = Counter()
        self._squares: Counter[str] = Counter()

    def add(self, forecast: Forecast) -> None:
        """Count one contact."""
        self.contacts += 1
        self.outcomes[forecast.status, forecast.reason] += 1
        if forecast.wait_reason is not None:
            self.waits[forecast.wait_reason] += 1
        self.seconds = max(self.seconds, forecast.wait_seconds)
        first = min(forecast.checks, 1)
        self._count("checks", first)
        self._count("rechecks", forecast.checks - first)
        self._count("sends", forecast.sends)
        self._count("requests", forecast.requests)

    def _count(self, name: str, number: int) -> None:
        self._totals[name] += number
        self._squares[name] += number**2

    def estimate(self, population: int) -> "Estimate":
        """Estimate for ``population`` contacts, of which the added ones are a random sample."""
        sample = self.contacts
        if population and not sample:
            return forecast_without_states(population)

        def total(name: str) -> Interval:
            return estimate_total(self._totals[name], self._squares[name], sample, population)

        return Estimate(
            outcomes={
                key: estimate_count(n, sample, population) for key, n in self.outcomes.items()
            },
            waits={key: estimate_count(n, sample, population) for key, n in self.waits.items()},
            # if every contact of the sample needs a first check, all contacts do
            checks=exactly(population) if self._totals["checks"] == sample else total("checks"),
            rechecks=total("rechecks"),
            sends=total("sends"),
            requests=total("requests"),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimates for a run: contacts by outcome and by reason of deferral, and requests."""

    outcomes: Mapping[Outcome, Interval]
    waits: Mapping[RetryReason, Interval]
    checks: Interval
    rechecks: Interval
    sends: Interval
    requests: Interval

    def plus(self, known: SampleTotals) -> "Estimate":
        """Add contacts that are known exactly, because they need no state check."""
        exact = known.estimate(known.contacts)
        outcomes = dict(self.outcomes)
        for outcome, interval in exact.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, exactly(0)) + interval.number
        return Estimate(
            outcomes,
            self.waits,
            self.checks + exact.checks.number,
            self.rechecks + exact.rechecks.number,
            self.sends + exact.sends.number,
            self.requests + exact.requests.number,
        )


def forecast_without_states(contacts: int) -> Estimate:
    """Return the estimate for contacts without state checks: only the bounds of requests."""
    return Estimate(
        {},
        {},
        exactly(contacts),
        exactly(0),
        Interval(contacts, 0, contacts),
        Interval(2 * contacts, contacts, 2 * contacts),
    )
