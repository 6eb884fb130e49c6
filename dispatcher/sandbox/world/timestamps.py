"""Times as the platform writes them: UTC, ISO 8601, milliseconds."""

from datetime import UTC, datetime

from dispatcher.sandbox.world.world import ConversationView

_BEGAN_BEFORE = 7200.0
_ENDED_BEFORE = 3600.0


def iso(wall: float) -> str:
    """Return a time in seconds since the epoch as the platform writes it."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class Times:
    """When conversations began and ended: two hours and one hour before the sandbox started."""

    def __init__(self, started: float) -> None:
        self._started = iso(started)
        self._start = iso(started - _BEGAN_BEFORE)
        self._end = iso(started - _ENDED_BEFORE)

    def start(self, view: ConversationView) -> str:
        """Return when the conversation began."""
        return self._start if view.previous is None else self._started

    def end(self, view: ConversationView) -> str | None:
        """Return when it ended, None if it has not."""
        return self._end if view.state == "ended" else None
