"""One campaign's part of a run: its intake, its claims that are ready, its pause."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dispatcher.domain.contact_counts import count_contacts
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.events import Gauges, Halted, Resumed
from dispatcher.domain.look_schedule import SHARE
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import HaltReason
from dispatcher.domain.wait_counts import session_wait
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.clients.client import OAuthClient, client_paces, quota_use
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.due_times import NEVER, DueTimes
from dispatcher.engine.intake import Intake, PrefetchLimit
from dispatcher.engine.reconciler import Reconciler
from dispatcher.engine.scheduling import EQUAL_WEIGHT, Weight
from dispatcher.ports import (
    ENDLESS,
    Claim,
    Clock,
    Deliver,
    EventSink,
    Ledger,
    LedgerError,
    Overview,
    Source,
    Tenure,
)

MAX_PREFETCH = 1024
"""The most contacts of a campaign that are claimed ahead of the workers."""


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """What one campaign brings into a run.

    ``events`` goes to the sinks of this campaign alone. ``weight`` is its part of the workers
    where campaigns share them. With ``halt_suspicious`` it halts when most contacts are refused
    alike, before they are final. ``look_share`` is the share of its requests that looks at waiting
    sessions get while other contacts are ready, ``quota_share`` its part of all quotas.
    ``accepted`` are keys of kinds of refusals for which it does not halt. With ``likeness`` the
    first call of a contact is learnt from rows alike; without, it is the state check. It requires a
    platform that `dispatcher.domain.unchecked_send` describes. With ``admits_at_once`` the batches
    of the source do not wait until the workers need contacts. No send begins after the
    ``tenure``.
    """

    name: str
    source: Source
    ledger: Ledger
    events: EventSink
    policy: DecisionPolicy
    rules: CampaignRules = field(default_factory=CampaignRules)
    weight: Weight = EQUAL_WEIGHT
    halt_suspicious: bool = False
    look_share: float = SHARE
    quota_share: float = 1.0
    accepted: Collection[str] = ()
    likeness: RowLikeness | None = None
    admits_at_once: bool = False
    tenure: Tenure = ENDLESS


class CampaignRun:
    """One campaign in the stream."""

    def __init__(
        self, campaign: Campaign, clock: Clock, due_times: DueTimes, intake: Intake,
        delivery: Delivery, reconciler: Reconciler,
    ) -> None:  # fmt: skip
        self.name = campaign.name
        self.weight = campaign.weight
        self.ledger = campaign.ledger
        self._events = campaign.events
        self._clock = clock
        self.due_times = due_times
        self.intake = intake
        self.delivery = delivery
        self.deliver: Deliver = delivery.deliver
        """Takes a claim as far as it gets now; what observes deliveries wraps it."""
        self.reconciler = reconciler
        reconciler.expects_more = lambda: not self.idle
        self.guard = delivery.guard
        self.ready: deque[Claim] = deque()
        """Claims that no worker has taken yet."""
        self.low_mark = 0
        """With so many or fewer claims that are ready, more are wanted."""
        self._ahead: deque[Claim] = deque()
        self.in_flight = 0
        """Contacts that workers have."""
        self.finished = 0
        """Contacts that workers have finished so far."""
        self.paused_at: float | None = None
        """Since when it is paused (seconds since the epoch); None while it is not."""
        self.overview: Overview | None = None
        """What the last gauges read in the ledger, at ``overview_at`` (seconds since the epoch)."""
        self.overview_at = 0.0
        self.waits: Mapping[str, int] = {}
        """How many contacts waited then, by reason."""
        self._paused_from = 0.0  # monotonic: a clock that is set makes no pause longer
        self._prefetch = PrefetchLimit(1, MAX_PREFETCH)
        self._size = 1

    async def start(self, workers: int) -> None:
        """Open the source where the ledger left it, and read whether the campaign is paused."""
        self._prefetch = PrefetchLimit(workers, MAX_PREFETCH)
        await self.intake.start()
        self.paused_at = await self.ledger.paused()
        if self.paused_at is not None:
            self._emit_paused(self.paused_at)

    async def recall_waits(self) -> None:
        """Learn why contacts wait that an earlier run has put off, if the ledger can be read."""
        with suppress(LedgerError):
            for waits in await self.ledger.earlier_waits(self._clock.time()):
                self.due_times.waiting.add(*waits)

    def pause(self) -> None:
        """Claim nothing from now on."""
        if self.paused_at is None:
            self.paused_at = self._clock.time()
            self._emit_paused(self.paused_at)

    def resume(self) -> None:
        """Claim what is due, and go on with the source."""
        since, self.paused_at = self.paused_at, None
        if since is not None:
            self.due_times.next_due = 0.0
            seconds = self._clock.monotonic() - self._paused_from
            self._events.emit(Resumed(HaltReason.PAUSED, seconds))

    def prefetch_room(self) -> int:
        """Return how many more contacts workers may take.

        It is 0 while more than half of those that may be claimed ahead are ready.
        """
        if self.paused_at is not None:
            return 0
        self._size = self._prefetch.update(self._clock.monotonic(), self.finished)
        ready = len(self.ready)
        room = min(self._size - ready, self.guard.room(ready + self.in_flight))
        self.low_mark = max(0, ready + room) // 2
        return room if ready <= self.low_mark else 0

    async def claims(self, count: int) -> list[Claim]:
        """Claim up to ``count`` contacts that workers may take now.

        The guard lets workers take few at a time. More are claimed with them, and kept for the next
        call: with claims as small as that a run took 8% more CPU time.
        """
        if not self.guard.allows_prefetch:
            await self.release_ahead()
        if len(self._ahead) < count:
            ahead = self._size - len(self.ready) - count if self.guard.allows_prefetch else 0
            count_missing = count - len(self._ahead)
            self._ahead.extend(await self.intake.claims(count_missing, max(0, ahead)))
        claims = [self._ahead.popleft() for _ in range(min(count, len(self._ahead)))]
        excess = [] if self.paused_at is not None else self.guard.excess_claims(claims)
        if excess:
            claims = claims[: -len(excess)]
            self.intake.give_back(len(excess))
            await self.release(excess)
        return claims

    @property
    def halted_since(self) -> float | None:
        """Since when it is halted (monotonic seconds); None while it is not."""
        return None if self.guard.halt_kind is None else self.guard.halted_since

    @property
    def source_finished(self) -> bool:
        """Whether the source has nothing more for this run."""
        return self.intake.exhausted or self.intake.limited

    @property
    def idle(self) -> bool:
        """Whether nothing is left but what is due later, or waits for the end of a pause."""
        takes_nothing = self.paused_at is not None or self.guard.halt_kind is not None
        has_nothing = self.source_finished and not self._ahead
        return (has_nothing or takes_nothing) and not self.ready and not self.in_flight

    @property
    def next_due(self) -> float:
        """When the next contact is due (seconds since the epoch); inf if it takes none."""
        takes_nothing = self.paused_at is not None or self.guard.halt_kind is not None
        return NEVER if takes_nothing else self.intake.next_due

    @property
    def held_back(self) -> bool:
        """Whether it is paused, and has or may have contacts left."""
        finished = self.intake.exhausted and self.intake.next_due == NEVER
        return self.paused_at is not None and not finished

    async def release_ahead(self) -> None:
        """Put back what was claimed beyond what workers may take."""
        claims = list(self._ahead)
        self._ahead.clear()
        self.intake.give_back(len(claims))
        await self.release(claims)

    async def release(self, claims: Sequence[Claim]) -> None:
        """Put claims back that no worker has taken, due as they were, so that their order stays."""
        if claims:
            self.due_times.next_due = 0.0
            due = {claim.id: claim.due for claim in claims if claim.due is not None}
            for claim in claims:
                if claim.due is not None and claim.due > self._clock.time():
                    self.due_times.waiting.add(session_wait(claim.progress), claim.due)
            await self.ledger.release([claim.id for claim in claims], due)

    async def emit_gauges(
        self, clients: Sequence[OAuthClient], loop_lag: float = 0.0, *, draining: bool = False
    ) -> None:
        """Emit the campaign's gauges; the arguments, pace and quota are those of the whole run."""
        now = self._clock.time()
        overview = await self.ledger.overview(now)
        backlog, quota = overview.backlog, quota_use(clients)
        self.intake.ready_count = backlog.due + backlog.later
        waiting = self.due_times.waiting.by_reason(backlog.later, now)
        self.overview, self.overview_at, self.waits = overview, now, waiting
        self._events.emit(
            Gauges(
                in_flight=self.in_flight + self.guard.holding,
                backlog=self.intake.ready_count,
                oldest_due=max(0.0, now - backlog.oldest_due) if backlog.oldest_due else 0.0,
                pace=sum(client.pacer.rate for client in clients),
                quota_used=quota.used,
                clients=client_paces(clients),
                quota=quota,
                contacts=count_contacts(overview.totals.by_status, backlog.due, waiting),
                source=self.intake.source_state(),
                ledger=overview.file,
                loop_lag=loop_lag,
                held=self.guard.holding,
                draining=draining,
            )
        )

    def _emit_paused(self, since: float) -> None:
        before = max(0.0, self._clock.time() - since)
        self._paused_from = self._clock.monotonic() - before
        self._events.emit(Halted(HaltReason.PAUSED, "paused by the operator"))
