"""The threading timeline: how long after its end a conversation takes messages again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import State
from dispatcher.platforms.api_client import BackgroundClient
from dispatcher.platforms.genesys.requests import TIMELINE_PATH
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.response_parsing import Body, get_value, listed, text
from dispatcher.ports import Clock, TokenExpiredError

DEFAULT_MINUTES = 72 * 60.0
"""The window if the platform does not report one (source: platform contract, timeline)."""
REFRESH_SECONDS = 3600.0
"""How old the timeline may grow until it is read again."""
RETRY_SECONDS = 60.0
"""The pause after a reading that failed."""


@dataclass(frozen=True, slots=True)
class ThreadingWindows:
    """How many minutes a conversation can be resumed, by messenger type, and by default."""

    default: float = DEFAULT_MINUTES
    by_type: Mapping[str, float] = field(default_factory=dict)

    def state(self, messenger: str, ended_at: float | None, now: float) -> State:
        """Return RESUMABLE or ENDED for a disconnected conversation.

        Times are seconds since the epoch by the platform's clock. A conversation without an end
        counts as resumable, because nothing shows that its window is over.
        """
        minutes = self.by_type.get(messenger, self.default)
        if ended_at is None or now < ended_at + minutes * 60.0:
            return State.RESUMABLE
        return State.ENDED


def windows(body: Body) -> ThreadingWindows | None:
    """Parse the windows, without unreadable ones; None if there are none."""
    default = _minutes(body.get("defaultTimeoutMinutes"))
    settings = listed(body, "settings")
    if default is None and not settings:
        return None
    found = {
        type_: minutes
        for row in settings
        if (type_ := text(row, "messengerType")) is not None
        and (minutes := _minutes(get_value(row, "timeoutInMinutes"))) is not None
    }
    return ThreadingWindows(DEFAULT_MINUTES if default is None else default, found)


class ThreadingTimeline:
    """Reads the windows: before the first state check, and again each hour.

    A reading that fails keeps what was known.
    """

    def __init__(self, caller: BackgroundClient, clock: Clock) -> None:
        self._caller = caller
        self._clock = clock
        self._next = 0.0
        self._known = False
        self._task: asyncio.Task[None] | None = None
        self.windows = ThreadingWindows()

    async def first(self) -> None:
        """Read it if it was never read, and the last attempt was a while ago."""
        if not self._known and self._due():
            await self._refresh()

    def keep(self) -> None:
        """Read it again in the background if it is old."""
        if self._due() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._refresh())

    async def close(self) -> None:
        """Cancel a reading in progress."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _due(self) -> bool:
        return self._clock.monotonic() >= self._next

    async def _refresh(self) -> None:
        self._next = self._clock.monotonic() + RETRY_SECONDS
        try:
            reply = await self._caller.call("GET", TIMELINE_PATH, None, self._read)
        except TokenExpiredError:
            return
        if isinstance(reply.result, Answer) and reply.result.from_platform:
            self._next = self._clock.monotonic() + REFRESH_SECONDS

    def _read(self, exchange: HttpResponse) -> Answer:
        """Store the windows; an answer without them does not count as the platform's."""
        taken = exchange.body is not None and exchange.status // 100 == 2  # noqa: PLR2004 - HTTP's class of success
        found = windows(exchange.body) if exchange.body is not None and taken else None
        if found is not None:
            self.windows, self._known = found, True
        return Answer(exchange.status, from_platform=found is not None)


def _minutes(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return None
    return float(value)
