"""Circuit breaker of one OAuth client: blocks its requests, and lets one probe test recovery."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dispatcher.domain.events import Halted, Probed, Resumed
from dispatcher.domain.status import HaltReason, Step
from dispatcher.engine import authorization
from dispatcher.ports import (
    Clock,
    CredentialsError,
    EventSink,
    Platform,
    TokenGrants,
    TokenUnavailableError,
)

UNREACHABLE_LIMIT = 5
"""Requests in a row that could not leave, after which the platform counts as down."""
FIRST_PROBE_SECONDS = 1.0
"""The wait before the first probe of a platform that is down; each further wait is twice it."""
_MAY_CONCERN_ONE_CONTACT = (HaltReason.FORBIDDEN, HaltReason.PERMISSION, HaltReason.DIVISION)
"""The cause may be one contact alone: another one is the probe at once."""


class CircuitBreaker:
    """Blocks every request of one client while it lacks a grant or the platform is down.

    While it is halted it probes each ``probe_seconds``: first it gets a new token, which alone
    proves which scopes are granted, then it lets one contact through, another one each time.
    While a verdict is pending, for as long as it takes to find out whether the client has to halt,
    it blocks too, and emits no event.

    ``on_change`` is called when requests become blocked or allowed, or when a probe is wanted:
    what waits for a permit has to look again.
    """

    def __init__(
        self, platform: Platform, events: EventSink, clock: Clock, probe_seconds: float,
        on_change: Callable[[], None], client: str = "",
    ) -> None:  # fmt: skip
        self._platform = platform
        self._client = client
        self._events = events
        self._clock = clock
        self._probe_seconds = probe_seconds
        self._on_change = on_change
        self.reason: HaltReason | None = None
        """Why it is halted; None while it is not."""
        self.since = 0.0
        """When the halt began (monotonic seconds)."""
        self._pending_verdicts = 0
        self._failed_step: Step | None = None
        self._by_token = True
        self._probe: int | None = None
        self._probe_wanted = False
        self._waiting: dict[int, tuple[Step, asyncio.Future[None]]] = {}
        self._halted = asyncio.Event()
        self._resumed = asyncio.Event()
        self._unreachable_in_a_row = 0
        self._last_read_success = 0.0
        self._last_send_success = 0.0

    def allows(self, contact_id: int) -> bool:
        """Return True if the contact may make a request now."""
        return (self.reason is None and not self._pending_verdicts) or self._probe == contact_id

    @property
    def is_clear(self) -> bool:
        """Whether every contact may make a request; ``on_change`` is called when it changes."""
        return self.reason is None and not self._pending_verdicts

    def is_probe(self, contact_id: int) -> bool:
        """Return True if the contact is the one that tests recovery."""
        return self._probe == contact_id

    def try_become_probe(self, contact_id: int, step: Step) -> bool:
        """Make this contact the probe if no waiting contact could be chosen.

        Return True if it became the probe.
        """
        if not self._probe_wanted or (step is Step.LOOK_BACK and not self._is_evidence(step)):
            return False
        self._probe_wanted, self._probe = False, contact_id
        return True

    def add_waiter(self, contact_id: int, step: Step, future: asyncio.Future[None]) -> None:
        """Complete the future when the contact may be allowed to make its request."""
        self._waiting[contact_id] = (step, future)

    def remove_waiter(self, contact_id: int) -> None:
        """Remove a contact that waits no longer."""
        self._waiting.pop(contact_id, None)

    def wake_all(self) -> None:
        """Complete the futures of all waiting contacts."""
        for _, future in self._waiting.values():
            if not future.done():
                future.set_result(None)

    @contextmanager
    def pending_verdict(self) -> Iterator[None]:
        """Block requests while it is not known yet whether the client has to halt."""
        self._pending_verdicts += 1
        self._on_change()
        try:
            yield
        finally:
            self._pending_verdicts -= 1
            if not self._pending_verdicts and self.reason is None:
                self._on_change()
                self.wake_all()

    def halt(
        self, reason: HaltReason, detail: str, step: Step | None = None, *, by_token: bool = True
    ) -> None:
        """Block requests; the latest reason replaces an earlier one.

        The halt ends when a request of the probe succeeds. ``step`` is the request that was
        refused: then it must be a request that proves that this step works again. With None the
        step of an earlier halt stays; if there is none, any request of the probe will do.
        ``by_token``: any will do, too, once a new token has the scope. A halt because the platform
        is down ends with any answer.
        """
        self._by_token = by_token
        if step is not None:
            self._failed_step = step
        if self.reason is reason:
            return
        if self.reason is not None:
            self._emit_resumed(self.reason)
        self.reason, self.since = reason, self._clock.monotonic()
        self._probe_wanted = False
        self._resumed.clear()
        self._events.emit(Halted(reason, detail, self._client))
        self._halted.set()
        self._on_change()

    def release_probe(self, contact_id: int) -> None:
        """Let another contact become the probe, if this one was it."""
        if self._probe == contact_id:
            self._probe = None

    def record_success(self, contact_id: int, step: Step, sent_at: float) -> None:
        """Note that a contact's request, sent at that time (seconds since the epoch), succeeded.

        It ends the halt if it was the probe, and is evidence that the failed step works again.
        """
        if step.is_send:
            self._last_send_success = max(sent_at, self._last_send_success)
        elif not step.reads_analytics:  # analytics prove nothing about contacts
            self._last_read_success = max(sent_at, self._last_read_success)
        if self._probe == contact_id and self._is_evidence(step):
            self._resume()

    def succeeded_since(self, step: Step, moment: float) -> bool:
        """Return True if a request of that kind, sent after ``moment``, succeeded."""
        last = self._last_send_success if step.is_send else self._last_read_success
        return last > moment

    def record_reachable(self) -> None:
        """Note that the platform gave an answer, of whatever kind."""
        self._unreachable_in_a_row = 0
        if self.reason is None:
            return
        if self.reason is HaltReason.PLATFORM_DOWN:
            self._resume()

    def record_unreachable(self, detail: str) -> None:
        """Note that a request could not leave."""
        self._unreachable_in_a_row += 1
        if self._unreachable_in_a_row >= UNREACHABLE_LIMIT and self.reason is None:
            self.halt(HaltReason.PLATFORM_DOWN, detail)

    async def run(self) -> None:
        """Probe while halted; ends when it is cancelled."""
        while True:
            await self._halted.wait()
            pause = self._first_pause()
            while not await self._resumed_within(pause):
                if self._probe is None:
                    await self._probe_once()
                down = self.reason is HaltReason.PLATFORM_DOWN
                pause = min(pause * 2, self._probe_seconds) if down else self._probe_seconds
            if self.reason is None:
                self._halted.clear()

    def _first_pause(self) -> float:
        if self.reason is HaltReason.PLATFORM_DOWN:
            return min(FIRST_PROBE_SECONDS, self._probe_seconds)
        return 0.0 if self.reason in _MAY_CONCERN_ONE_CONTACT else self._probe_seconds

    async def _resumed_within(self, seconds: float) -> bool:
        waiter = asyncio.ensure_future(self._resumed.wait())
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            done, _ = await asyncio.wait((waiter, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            timer.cancel()
        return waiter in done or self._resumed.is_set()

    async def new_grants(self) -> TokenGrants | None:
        """Return the grants of a token that is issued now; None if none can be had.

        The breaker halts if the platform refuses the credentials.
        """
        try:
            return await self._platform.verify()
        except CredentialsError as error:
            self.halt(HaltReason.CREDENTIALS, str(error))
        except TokenUnavailableError as error:
            self.record_unreachable(str(error))
        return None

    async def _probe_once(self) -> None:
        reason = self.reason
        if reason is None:
            return
        self._events.emit(Probed(reason, self._client))
        grants = await self.new_grants()
        if grants is None:
            return
        if grants.missing_grants:
            self.halt(*authorization.halt_reason(grants, self.reason))
            return
        if reason is HaltReason.SCOPE and self._by_token:
            self._failed_step = None  # the token has the scope: any request that succeeds will do
        self._choose_probe()

    def _is_evidence(self, step: Step) -> bool:
        """Return True if a success of ``step`` shows that the failed step works again."""
        if self._failed_step is None or step is self._failed_step:
            return True
        return not step.reads_analytics and (step.is_send or not self._failed_step.is_send)

    def _choose_probe(self) -> None:
        """Let one waiting contact through: one whose request is evidence, else the first.

        A contact that waits for its state check is no evidence about sends yet, but its own
        send will be. If none waits, the next contact that wants a permit becomes the probe.
        """
        waiting = [
            (contact_id, step)
            for contact_id, (step, future) in self._waiting.items()
            if not future.done()
        ]
        evident = [contact_id for contact_id, step in waiting if self._is_evidence(step)]
        others = [contact_id for contact_id, step in waiting if step is not Step.LOOK_BACK]
        chosen = next(iter(evident or others), None)
        self._probe_wanted = chosen is None
        if chosen is None:
            self._on_change()
        else:
            self._probe = chosen
            self._waiting[chosen][1].set_result(None)

    def _resume(self) -> None:
        reason, self.reason, self._probe = self.reason, None, None
        self._failed_step, self._probe_wanted = None, False
        if reason is not None:
            self._emit_resumed(reason)
        self._resumed.set()
        self._on_change()
        self.wake_all()

    def _emit_resumed(self, reason: HaltReason) -> None:
        seconds = self._clock.monotonic() - self.since
        self._events.emit(Resumed(reason, seconds, self._client))
