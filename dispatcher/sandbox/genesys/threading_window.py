"""The phase of a conversation in the threading window: open, resumable after its end, expired."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from dispatcher.sandbox.conversation_kinds import UNKNOWN_STATE
from dispatcher.sandbox.scenario.model import GenesysRules
from dispatcher.sandbox.world import ids
from dispatcher.sandbox.world.message_archive import ArchivedMessage
from dispatcher.sandbox.world.timestamps import iso
from dispatcher.sandbox.world.world import ConversationView, World

_BEYOND_SECONDS = 3600.0
"""How long before the window an old conversation ended."""
_DURATION_SECONDS = 3600.0
"""How long an old conversation lasted."""
_RECENT_SECONDS = 60.0
"""How long ago a conversation inside the window ended."""


class Phase(Enum):
    """What a message to the person would do."""

    OPEN = "open"
    RESUMABLE = "resumable"
    """It joins the conversation again."""
    EXPIRED = "expired"
    """It starts a new conversation."""
    UNKNOWN = "unknown"


class WindowState(NamedTuple):
    """A phase, and the time at which the guest left, as the platform writes it."""

    phase: Phase
    end: str | None


class ThreadingWindow:
    """Maps the states of the world to phases.

    A conversation that is closed and not yet ended is inside the window; one that is ended is
    outside. So the guest of a conversation that closes by itself left the length of the window
    before the time at which the world ends it.
    """

    def __init__(self, world: World, rules: GenesysRules, now: float, wall_offset: float) -> None:
        self._world = world
        self._wall_offset = wall_offset
        self._window = rules.threading_minutes * 60.0
        started = now + wall_offset
        self._long_ago = iso(started - self._window - _BEYOND_SECONDS)
        self._recently = iso(started - min(_RECENT_SECONDS, self._window / 2))
        self._began = iso(started - self._window - _BEYOND_SECONDS - _DURATION_SECONDS)
        self._latest: dict[str, tuple[str, float]] = {}
        """By the oldest conversation of a person: the newest one that a message began."""

    def state(self, conversation_id: str, view: ConversationView, now: float) -> WindowState:
        """Return the phase of a conversation; ``now`` is monotonic."""
        if conversation_id.startswith(ids.NEW):
            return self._state_of_new(conversation_id, now)
        if view.is_open:
            return WindowState(Phase.OPEN, None)
        if view.state == UNKNOWN_STATE:
            return WindowState(Phase.UNKNOWN, None)
        inside = bool(self._window) and (view.state == "closed" or view.kind.threads)
        phase = Phase.RESUMABLE if inside else Phase.EXPIRED
        ends = self._world.ends_at(conversation_id) if view.kind.moves else None
        if ends is not None and self._window:
            return WindowState(phase, iso(ends + self._wall_offset - self._window))
        return WindowState(phase, self._recently if inside else self._long_ago)

    def _state_of_new(self, conversation_id: str, now: float) -> WindowState:
        latest, at = self._latest.get(ids.root(conversation_id), ("", 0.0))
        if latest != conversation_id:
            return WindowState(Phase.EXPIRED, self._long_ago)
        phase = Phase.RESUMABLE if now - at < self._window else Phase.EXPIRED
        return WindowState(phase, iso(at + self._wall_offset))

    def began(self, conversation_id: str, messages: Sequence[ArchivedMessage]) -> str:
        """Return when a conversation began: a new one with the first of its messages."""
        if conversation_id.startswith(ids.NEW) and messages:
            return iso(messages[0].time)
        return self._began

    def record_message(self, conversation_id: str, now: float) -> None:
        """Record that a message began or joined this conversation, which is a new one."""
        self._latest[ids.root(conversation_id)] = (conversation_id, now)

    def latest(self, root: str, now: float) -> str | None:
        """Return the conversation that messages began with a person, if it is in the window."""
        latest, at = self._latest.get(root, ("", 0.0))
        return latest if latest and now - at < self._window else None
