"""Whether a run has nothing left to do, and how it ends then."""

from collections.abc import Sequence

from dispatcher.domain.status import Step
from dispatcher.engine.campaign_run import CampaignRun
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.due_times import NEVER
from dispatcher.engine.run_options import PipelineOptions, RunOutcome
from dispatcher.ports import Clock


class RunEnd:
    """Judges whether a run is over. Only one with ``once``, or with a limit, ends by itself.

    It waits up to the limits of the options for what is due later, for the end of a halt, and for
    contacts in doubt.
    """

    def __init__(
        self, campaigns: Sequence[CampaignRun], pool: ClientPool, clock: Clock,
        options: PipelineOptions,
    ) -> None:  # fmt: skip
        self._campaigns = campaigns
        self._pool = pool
        self._clock = clock
        self._options = options
        self._idle_since = NEVER
        self._deadline = 0.0

    def when_idle(self) -> RunOutcome | None:
        """Return how the run ends, all campaigns of which are idle; None if it goes on."""
        now = self._clock.time()
        self._idle_since = min(self._idle_since, now)
        self._deadline = max(self._deadline, self._wait_until())
        return self._outcome(now)

    def when_held_up(self) -> RunOutcome | None:
        """Return how the run ends if halts or limits have held it up for too long, else None."""
        if not self._options.once:
            return None
        limit, since = self._options.wait_limit, self._pool.halted_since
        if since is not None and self._clock.monotonic() - since > limit:
            return RunOutcome.HALTED
        return RunOutcome.DEFERRED if self._pool.hold_remaining(Step.CHECK) > limit else None

    def _wait_until(self) -> float:
        """Return until when an idle run waits: for longer if contacts are in doubt."""
        deadline = self._idle_since + self._options.wait_limit
        for campaign in self._campaigns:
            if campaign.reconciler.next_look_back != NEVER:
                since = max(self._idle_since, campaign.due_times.last_doubt)
                deadline = max(deadline, since + self._options.doubt_limit)
        return deadline

    def _outcome(self, now: float) -> RunOutcome | None:
        """Return how the run ends if nothing is left for it to do before the deadline."""
        halted = [c.halted_since for c in self._campaigns if c.halted_since is not None]
        if any(campaign.intake.limited for campaign in self._campaigns):
            return RunOutcome.HALTED if halted else RunOutcome.DONE
        due = min(min(c.next_due, c.reconciler.next_look_back) for c in self._campaigns)
        if not self._options.once or due <= now:
            return None
        if halted and self._clock.monotonic() - max(halted) <= self._options.wait_limit:
            return None
        if halted and due > self._deadline:
            return RunOutcome.HALTED
        if due == NEVER:
            held_back = any(campaign.held_back for campaign in self._campaigns)
            return RunOutcome.PAUSED if held_back else RunOutcome.DONE
        if due <= self._deadline:
            return None
        return RunOutcome.DEFERRED if self._pool.halted_since is None else RunOutcome.HALTED
