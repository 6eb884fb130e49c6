"""When a client stands still, and the one contact that finds out whether it still must."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dispatcher.domain.events import Halted, Probed, Resumed
from dispatcher.domain.status import HaltReason, Step
from dispatcher.engine import authorization
from dispatcher.ports import Clock, CredentialsError, EventSink, Platform, TokenUnavailableError

UNREACHABLE_LIMIT = 5
"""Requests in a row that could not leave, before the platform is taken to be down."""
FIRST_PROBE_SECONDS = 1.0
"""After this the first probe of a platform that is down follows; the wait doubles from there."""
_CONTACTS_OWN = (HaltReason.FORBIDDEN, HaltReason.PERMISSION, HaltReason.DIVISION)
"""These may concern one contact alone: another one is asked at once."""


class CircuitBreaker:
    """Holds every request of one client back while it lacks a scope or the platform is down.

    A halted client asks again each ``probe_seconds``: first for a fresh token, which alone tells
    the truth about scopes, then with one ordinary contact, another each time. A run is merely
    suspended, without a word to anybody, for as long as it takes to find out whether a refusal
    means a halt.
    """

    def __init__(
        self, platform: Platform, events: EventSink, clock: Clock, probe_seconds: float,
        client: str = "",
    ) -> None:  # fmt: skip
        self._platform = platform
        self._client = client
        self._events = events
        self._clock = clock
        self._probe_seconds = probe_seconds
        self.reason: HaltReason | None = None
        self.since = 0.0
        self._suspended = 0
        self._failed_step: Step | None = None
        self._by_token = True
        self._probe: int | None = None
        self._probe_wanted = False
        self._waiting: dict[int, tuple[Step, asyncio.Future[None]]] = {}
        self._halted = asyncio.Event()
        self._resumed = asyncio.Event()
        self._unreachable_in_a_row = 0
        self._successes: dict[bool, float] = {}
        self.on_change: Callable[[], None] = lambda: None
        """Called when the way is closed or opened, or a probe wanted: who queues looks again."""

    def allows(self, who: int) -> bool:
        """Tell whether ``who`` may make a request now."""
        return (self.reason is None and not self._suspended) or self._probe == who

    def is_probe(self, who: int) -> bool:
        """Tell whether ``who`` is the one that finds out whether the halt still must be."""
        return self._probe == who

    def try_become_probe(self, who: int, step: Step) -> bool:
        """Make ``who`` the probe if one is wanted that was not at hand; tell whether it is."""
        if not self._probe_wanted or (step is Step.LOOK_BACK and not self._is_evidence(step)):
            return False
        self._probe_wanted, self._probe = False, who
        return True

    def queue(self, who: int, step: Step, future: asyncio.Future[None]) -> None:
        """Let the future be done as soon as something changed for ``who``."""
        self._waiting[who] = (step, future)

    def unqueue(self, who: int) -> None:
        """Forget who waited."""
        self._waiting.pop(who, None)

    def wake_all(self) -> None:
        """Let everybody who waits look again."""
        for _, future in self._waiting.values():
            if not future.done():
                future.set_result(None)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Close the way while a question is open that may end in a halt."""
        self._suspended += 1
        self.on_change()
        try:
            yield
        finally:
            self._suspended -= 1
            if not self._suspended and self.reason is None:
                self.on_change()
                self.wake_all()

    def halt(
        self, reason: HaltReason, detail: str, step: Step | None = None, *, by_token: bool = True
    ) -> None:
        """Stand still; the reason that is learnt last is the one that holds.

        ``step`` is the request that was refused: only one like it proves that it is let in
        again; with None any answer does. A missing scope is proved by a newer token, unless
        the refusal alone tells of it and not ``by_token``.
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
        self.on_change()

    def release_probe(self, who: int) -> None:
        """Tell that ``who`` is done or was refused; if it was the probe, the next can come."""
        if self._probe == who:
            self._probe = None

    def record_success(self, who: int, step: Step, sent_at: float) -> None:
        """Tell that a request of ``who``, sent at that wall-clock time, was let in and done.

        It ends the halt if it was the probe and proves what the halt doubts.
        """
        if not step.is_of_records:  # it says nothing about contacts
            self._successes[step.is_send] = max(sent_at, self._successes.get(step.is_send, 0.0))
        if self._probe == who and self._is_evidence(step):
            self._resume()

    def succeeded_since(self, step: Step, moment: float) -> bool:
        """Tell whether a request of that kind, sent after ``moment``, was taken."""
        return self._successes.get(step.is_send, 0.0) > moment

    def record_reachable(self) -> None:
        """Tell that the platform gave an answer, whichever."""
        self._unreachable_in_a_row = 0
        if self.reason is HaltReason.PLATFORM_DOWN:
            self._resume()

    def record_unreachable(self, detail: str) -> None:
        """Tell that a request could not leave."""
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
                pause = self._next_pause(pause)
            if self.reason is None:
                self._halted.clear()

    def _first_pause(self) -> float:
        if self.reason is HaltReason.PLATFORM_DOWN:
            return min(FIRST_PROBE_SECONDS, self._probe_seconds)
        return 0.0 if self.reason in _CONTACTS_OWN else self._probe_seconds

    def _next_pause(self, pause: float) -> float:
        if self.reason is HaltReason.PLATFORM_DOWN:
            return min(pause * 2, self._probe_seconds)
        return self._probe_seconds

    async def _resumed_within(self, seconds: float) -> bool:
        waiter = asyncio.ensure_future(self._resumed.wait())
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            done, _ = await asyncio.wait((waiter, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            timer.cancel()
        return waiter in done or self._resumed.is_set()

    async def _probe_once(self) -> None:
        reason = self.reason
        if reason is None:
            return
        self._events.emit(Probed(reason, self._client))
        if not await self._authorized():
            return
        if reason is HaltReason.SCOPE and self._by_token:
            self._failed_step = None  # the token has the scope: any request that passes will do
        self._choose_probe()

    async def _authorized(self) -> bool:
        try:
            authority = await self._platform.verify()
        except CredentialsError as error:
            self.halt(HaltReason.CREDENTIALS, str(error))
            return False
        except TokenUnavailableError:
            return False
        if authority.missing_grants:
            self.halt(*authorization.halt_reason(authority, self.reason))
        return not authority.missing_grants

    def _is_evidence(self, step: Step) -> bool:
        if self._failed_step is None or step is self._failed_step:
            return True
        return not step.is_of_records and (step.is_send or not self._failed_step.is_send)

    def _choose_probe(self) -> None:
        """Let one contact through: one that can prove it now, else the first that comes by.

        A contact that stands before its state check proves nothing about sends yet, but its
        own send will.
        """
        waiting = [
            (who, step) for who, (step, future) in self._waiting.items() if not future.done()
        ]
        proving = [who for who, step in waiting if self._is_evidence(step)]
        leading = [who for who, step in waiting if step is not Step.LOOK_BACK]
        chosen = (proving or leading)[:1]
        self._probe_wanted = not chosen
        for who in chosen:
            self._probe = who
            self._waiting[who][1].set_result(None)
        if not chosen:
            self.on_change()

    def _resume(self) -> None:
        reason, self.reason, self._probe = self.reason, None, None
        self._failed_step, self._probe_wanted = None, False
        if reason is not None:
            self._emit_resumed(reason)
        self._resumed.set()
        self.on_change()
        self.wake_all()

    def _emit_resumed(self, reason: HaltReason) -> None:
        seconds = self._clock.monotonic() - self.since
        self._events.emit(Resumed(reason, seconds, self._client))
