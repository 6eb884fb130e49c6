"""Turns events into facts about the platform, the tokens and the clients of a run."""

from collections import Counter
from collections.abc import Callable, Sequence

from dispatcher.domain.answer import NoAnswerCause
from dispatcher.domain.condition_facts import AnswerCounts, PlatformFacts, Refusal, TokenCounts
from dispatcher.domain.condition_platform import (
    LEAST_ANSWERS,
    OUTAGE_SECONDS,
    SHORTEST_HALT,
    SLOW_SHARE,
)
from dispatcher.domain.events import (
    Answered,
    ClosedConflict,
    Halted,
    Probed,
    Resumed,
    ScopeError,
    Throttled,
    TokenRequested,
)
from dispatcher.domain.status import HaltReason, Step
from dispatcher.telemetry.condition.halts import HaltTimes
from dispatcher.telemetry.condition.look_backs import LookBackStreak
from dispatcher.telemetry.condition.outages import BadStreak
from dispatcher.telemetry.condition.throttles import Throttles
from dispatcher.telemetry.condition.windows import RollingSums
from dispatcher.telemetry.fanout import HandlerSink

ANSWER_SECONDS = 60.0
TOKEN_SECONDS = 300.0
SLOWEST_USUAL = 2.0
"""Seconds: a faster answer is never slow, whatever is usual."""
TIMES_USUAL = 5.0
YOUNG_TOKEN = 600.0
"""Seconds: tokens are valid for hours; one that is refused sooner was ended by somebody."""

_TOO_MANY = "429"
_ANALYTICS = frozenset(step for step in Step if step.reads_analytics)

CAMPAIGN_HALTS = frozenset({HaltReason.PAUSED, HaltReason.SUSPICIOUS, HaltReason.FAILURES})
"""Halts that concern one campaign."""


class PlatformTracker(HandlerSink):
    """Follows what all campaigns of a run share; ``clients`` are the aliases if there are several.

    A good answer costs little: no clock is read, and sums are made when facts are taken.
    """

    def __init__(self, monotonic: Callable[[], float], clients: Sequence[str] = ()) -> None:
        self._monotonic = monotonic
        self.last_answer = monotonic()
        """When an answer to any request was last found, at an evaluation."""
        self._heard = False
        self._clients = max(1, len(clients))
        self._halts = HaltTimes(monotonic)
        self._any = BadStreak(monotonic)
        self._sends = BadStreak(monotonic, sends_only=True)
        self._throttles = Throttles(monotonic)
        self._look_back = LookBackStreak(monotonic)
        self._good: list[float] = []
        self._take_good = self._good.append
        self._after_bad = False
        self._counts: Counter[str] = Counter()
        self._token_counts: Counter[str] = Counter()
        self._answers = RollingSums(ANSWER_SECONDS)
        self._tokens = RollingSums(TOKEN_SECONDS)
        self._slow_from = SLOWEST_USUAL
        self._usual: float | None = None
        self._minute = (monotonic(), 0, 0.0)
        self._issued: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._last_token_failure = ""
        self._refusal: Refusal | None = None
        self._fault: Refusal | None = None
        self.handlers = {
            Answered: self._answered,
            Throttled: self._throttled,
            TokenRequested: self._token_requested,
            ScopeError: self._scope_error,
            ClosedConflict: lambda _: self._token_counts.update(("explained",)),
            Probed: lambda _: self._token_counts.update(("explained",)),
            Halted: self._halted,
            Resumed: self._resumed,
        }

    def facts(self, now: float) -> PlatformFacts:
        """Return the facts at a moment of the clock, at each evaluation of any campaign."""
        if self._good or self._heard:
            self.last_answer, self._heard = now, False
        self._learn_usual(now)
        self._counts["good"] += len(self._good)
        self._good.clear()
        self._answers.push(self._counts, now)
        self._tokens.push(self._token_counts, now)
        self._counts.clear()
        self._token_counts.clear()
        outages = filter(None, (self._any.describe(now), self._sends.describe(now)))
        return PlatformFacts(
            clients=self._clients,
            halts=self._halts.take(now),
            outage=max(outages, key=lambda outage: outage.seconds, default=None),
            answers=self._answer_counts(),
            tokens=self._token_facts(),
            throttles=self._throttles.describe(now),
            refusal=self._refusal,
            fault=self._fault,
            look_back=self._look_back.describe(now),
        )

    def _answered(self, event: Answered) -> None:
        seconds = event.seconds
        if event.failed or self._after_bad or seconds > self._slow_from or event.step in _ANALYTICS:
            self._unusual(event)
        else:
            self._take_good(seconds)

    def _unusual(self, event: Answered) -> None:
        """Count an answer that is slow, a refusal, a server error, or did not come.

        Also any answer after a bad one. Analytics show nothing about state checks and sends, but
        that not all requests are refused by the quota.
        """
        status = event.status
        self._heard = True
        if event.step in _ANALYTICS:
            self._look_back.take(event)
            if not event.failed:
                self._throttles.pass_one(event)
            return
        if status == "401":
            self._unauthorized(event)
        if status == NoAnswerCause.TIMEOUT:
            self._bad(event, "timeouts")
        elif not status.isdecimal() or status[0] == "5":
            self._bad(event, "errors")
        elif status == _TOO_MANY:
            self._refused_by_quota(event)
        else:
            self._take_good(event.seconds)
            self._counts["slow"] += event.seconds > self._slow_from
            self._throttles.pass_one(event)
            self._end_streak(self._any)
            if event.step.is_send:
                self._end_streak(self._sends)
        self._after_bad = bool(self._any.answers or self._sends.answers or self._throttles.lasting)

    def _bad(self, event: Answered, name: str) -> None:
        self._counts[name] += 1
        self._fault = Refusal(event.status, event.correlation_id, client=event.client)
        self._any.add(event.status, event.contact_key)
        if event.step.is_send:
            self._sends.add(event.status, event.contact_key)

    def _refused_by_quota(self, event: Answered) -> None:
        """Count a 429: neither a fault nor a good answer."""
        self._counts["refused"] += 1
        self._throttles.refuse(event)
        self._any.refuse()
        if event.step.is_send:
            self._sends.refuse()

    def _throttled(self, event: Throttled) -> None:
        self._throttles.hold(event)
        self._after_bad = True  # the next good answer ends it

    def _end_streak(self, streak: BadStreak) -> None:
        """End a streak; an outage has explained the errors of its time."""
        outage = streak.describe(self._monotonic())
        streak.end()
        if outage is not None and outage.seconds >= OUTAGE_SECONDS:
            self._forget()

    def _forget(self) -> None:
        self._answers.clear()
        self._counts.clear()
        self._good.clear()

    def _unauthorized(self, event: Answered) -> None:
        """Count a token that is refused although it is young, once for each token."""
        issued = self._issued.get(event.client)
        sent_at = self._monotonic() - event.seconds
        if issued is None or sent_at < issued or self._refused.get(event.client) == issued:
            return
        self._refused[event.client] = issued
        self._token_counts["refused"] += sent_at - issued < YOUNG_TOKEN

    def _token_requested(self, event: TokenRequested) -> None:
        self._token_counts["requests"] += 1
        if event.status.startswith("2"):
            self._issued[event.client] = self._monotonic()
        else:
            self._token_counts["failed"] += 1
            self._last_token_failure = event.status

    def _scope_error(self, event: ScopeError) -> None:
        self._token_counts["explained"] += 1
        self._refusal = Refusal(event.source, event.correlation_id, event.missing, event.client)

    def _halted(self, event: Halted) -> None:
        if event.reason not in CAMPAIGN_HALTS:
            self._halts.begin(event)

    def _resumed(self, event: Resumed) -> None:
        if event.reason in CAMPAIGN_HALTS:
            return
        self._halts.end(event)
        if event.seconds >= SHORTEST_HALT:  # it has explained the faults of its time
            self._forget()
            self._throttles.restart(event.client)
            self._tokens.clear()
            self._token_counts.clear()

    def _answer_counts(self) -> AnswerCounts:
        sums = self._answers
        total = sums["good"] + sums["refused"] + sums["errors"] + sums["timeouts"]
        return AnswerCounts(
            total, sums["errors"], sums["timeouts"], sums["slow"], self._slow_from,
            self._usual or 0.0,
        )  # fmt: skip

    def _token_facts(self) -> TokenCounts:
        sums = self._tokens
        unexplained = max(0, sums["requests"] - sums["explained"] - sums["failed"])
        return TokenCounts(
            sums["requests"], sums["failed"], sums["refused"], unexplained,
            self._last_token_failure if sums["failed"] else "",
        )  # fmt: skip

    def _learn_usual(self, now: float) -> None:
        """Learn at the end of each minute how long answers usually take.

        A minute in which too many were slow shows what is not usual.
        """
        began, good, seconds = self._minute
        good, seconds = good + len(self._good), seconds + sum(self._good)
        if now - began < ANSWER_SECONDS:
            self._minute = began, good, seconds
            return
        self._minute = now, 0, 0.0
        slow = self._answers["slow"] + self._answers["timeouts"]
        if good >= LEAST_ANSWERS and slow <= SLOW_SHARE * good:
            mean = seconds / good
            self._usual = mean if self._usual is None else min(mean, self._usual)
            self._slow_from = max(SLOWEST_USUAL, TIMES_USUAL * self._usual)
