"""The one way to a request: not halted, not draining, and within the pace."""

from dispatcher.domain.status import Step
from dispatcher.engine.halts import Halts
from dispatcher.ports import Pacer, Permit

LONG_HOLD_SECONDS = 10.0
"""A contact whose endpoint is held for longer waits in the ledger, not at a worker."""


class Turnstile:
    """Lets requests through one by one."""

    def __init__(self, pacer: Pacer, halts: Halts) -> None:
        self.pacer = pacer
        self.halts = halts
        self.draining = False
        """Whether no contact may begin any more."""
        halts.on_close = self._look_again

    async def permit(self, step: Step, who: int) -> Permit | None:
        """Wait for the right to make one request.

        None if the run drains instead, or if this endpoint alone is held for long.

        A drain lets no more checks through. It still lets a send through whose state was
        read, unless it would have to wait for a halt or for the platform's hold.
        """
        while not self.barred(step) and not self.held_long(step):
            if not self.halts.open_for(who):
                await self.halts.turn(who, step)
                continue
            permit = await self.pacer.permit(step)
            if permit is None:
                continue
            if self.halts.open_for(who):
                return permit
            permit.unused()
        return None

    def hold(self, step: Step | None, seconds: float) -> None:
        """Obey a 429; whoever would have to wait for it while the run drains, leaves."""
        self.pacer.hold(step, seconds)
        if self.draining or (step is not None and seconds > LONG_HOLD_SECONDS):
            self.pacer.break_off(checks_only=False)

    def held_long(self, step: Step) -> float:
        """Seconds for which this endpoint alone is held, if that is long; else 0."""
        own = self.pacer.held_alone(step)
        return own if own > LONG_HOLD_SECONDS else 0.0

    def drain(self) -> None:
        """Let no more contact begin."""
        self.draining = True
        self._look_again()

    def barred(self, step: Step) -> bool:
        """Tell whether a draining run has no place for ``step`` any more."""
        if not self.draining:
            return False
        return not step.is_send or self.halts.reason is not None or self.pacer.held(step) > 0

    def _look_again(self) -> None:
        self.pacer.break_off(checks_only=False)
        if self.draining:
            self.halts.wake_all()
