"""One campaign's lane: what it takes in, what lies ready of it, and what workers hold of it."""

from collections import deque
from collections.abc import Sequence

from dispatcher.domain.events import ClientPace, Gauges, Halted, Resumed
from dispatcher.domain.status import HaltReason
from dispatcher.engine.clients.client import OAuthClient, quota_used
from dispatcher.engine.completion import NEVER, Completer
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.intake import Intake, PrefetchLimit
from dispatcher.engine.reconciler import Reconciler
from dispatcher.engine.scheduling import EQUAL_WEIGHT, Weight
from dispatcher.ports import Claim

MAX_PREFETCH = 1024
"""The most contacts of a campaign that lie ready for the workers."""


class CampaignRun:
    """One campaign in the stream. ``desk.events`` goes to sinks of this campaign alone.

    ``weight`` says what it gets of the workers where campaigns share them.
    """

    def __init__(
        self, campaign: str, intake: Intake, delivery: Delivery, reconciler: Reconciler,
        desk: Completer, weight: Weight = EQUAL_WEIGHT,
    ) -> None:  # fmt: skip
        self.campaign = campaign
        self.intake = intake
        self.delivery = delivery
        self.reconciler = reconciler
        self.desk = desk
        self.weight = weight
        self.ready: deque[Claim] = deque()
        """Claimed, and not yet in a worker's hands."""
        self.busy = 0
        """Contacts that workers hold."""
        self.finished = 0
        """Contacts that workers were done with, so far."""
        self.paused_at: float | None = None
        """Since when it takes nothing new (seconds since the epoch); None while it goes on."""
        self._room = PrefetchLimit(1, MAX_PREFETCH)

    async def start(self, workers: int) -> None:
        """Open the source where the ledger left it, and see whether the campaign is paused."""
        self._room = PrefetchLimit(workers, MAX_PREFETCH)
        await self.intake.start()
        self.paused_at = await self.desk.ledger.paused()
        if self.paused_at is not None:
            self._tell_pause()

    def pause(self) -> None:
        """Take nothing new from now on."""
        if self.paused_at is None:
            self.paused_at = self.desk.clock.time()
            self._tell_pause()

    def resume(self) -> None:
        """Take up what is due, and go on with the source."""
        since, self.paused_at = self.paused_at, None
        if since is not None:
            self.desk.next_due = 0.0
            seconds = max(0.0, self.desk.clock.time() - since)
            self.desk.events.emit(Resumed(HaltReason.PAUSED, seconds))

    def prefetch_left(self) -> int:
        """Return how many more contacts may be claimed; 0 while enough lie ready."""
        if self.paused_at is not None:
            return 0
        size, ready = self._room.size(self.desk.clock.monotonic(), self.finished), len(self.ready)
        return 0 if ready > size // 2 else size - ready

    @property
    def read(self) -> bool:
        """Whether the source has nothing more for this run."""
        return self.intake.exhausted or self.intake.limited

    @property
    def idle(self) -> bool:
        """Whether nothing is left but what is due later; a paused lane is, too."""
        return (self.read or self.paused_at is not None) and not self.ready and not self.busy

    @property
    def next_due(self) -> float:
        """When the next contact is due (seconds since the epoch); inf if none, or if paused."""
        return NEVER if self.paused_at is not None else self.intake.next_due

    @property
    def paused_count(self) -> bool:
        """Whether it is paused, and not known to be finished."""
        finished = self.intake.exhausted and self.intake.next_due == NEVER
        return self.paused_at is not None and not finished

    async def release(self, claims: Sequence[Claim]) -> None:
        """Let go of claims that no worker has taken."""
        if claims:
            self.desk.next_due = 0.0
            await self.desk.ledger.release([claim.id for claim in claims])

    async def emit_gauges(self, clients: Sequence[OAuthClient]) -> None:
        """Tell how the campaign stands; pace and quota are those of the whole run."""
        each = [ClientPace(c.name, c.pacer.rate, c.pacer.quota_used) for c in clients if c.name]
        now = self.desk.clock.time()
        backlog = await self.desk.ledger.backlog(now)
        self.desk.events.emit(
            Gauges(
                in_flight=self.busy,
                backlog=backlog.due + backlog.later,
                oldest_due=max(0.0, now - backlog.oldest_due) if backlog.oldest_due else 0.0,
                pace=sum(client.pacer.rate for client in clients),
                quota_used=quota_used(clients),
                clients=tuple(each),
            )
        )

    def _tell_pause(self) -> None:
        self.desk.events.emit(Halted(HaltReason.PAUSED, "paused by the operator"))
