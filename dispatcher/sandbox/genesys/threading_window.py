"""Where a conversation stands to the threading window: open, inside it after its end, expired."""

from enum import Enum
from typing import NamedTuple

from dispatcher.sandbox.conversation_kinds import UNKNOWN_STATE
from dispatcher.sandbox.scenario.model import GenesysRules
from dispatcher.sandbox.world import ids
from dispatcher.sandbox.world.timestamps import iso
from dispatcher.sandbox.world.world import ConversationView, World

_LONGER = 3600.0
_LASTED = 3600.0
_LATELY = 60.0


class Phase(Enum):
    """What a message to the person would do."""

    OPEN = "open"
    RESUMABLE = "resumable"
    """It joins the conversation again."""
    EXPIRED = "expired"
    """It starts a new one."""
    UNKNOWN = "unknown"


class Moment(NamedTuple):
    """A phase, and the time at which the guest left, as the platform writes it."""

    phase: Phase
    end: str | None


class Phases:
    """Maps the world onto the window.

    A conversation that is closed and not yet ended is inside the window; when it is ended it has
    left it. So the guest of one that closed by itself left earlier, by the length of the window,
    than the world says that it ended.
    """

    def __init__(self, world: World, rules: GenesysRules, now: float, wall_offset: float) -> None:
        self._world = world
        self._wall_offset = wall_offset
        self._window = rules.threading_minutes * 60.0
        started = now + wall_offset
        self._long_ago = iso(started - self._window - _LONGER)
        self._lately = iso(started - min(_LATELY, self._window / 2))
        self._began = iso(started - self._window - _LONGER - _LASTED)
        self._last: dict[str, tuple[str, float]] = {}
        """By the oldest conversation of a person: the newest one that a message began."""

    def of(self, conversation_id: str, view: ConversationView, now: float) -> Moment:
        """Return where a conversation stands; ``now`` is monotonic."""
        if conversation_id.startswith(ids.NEW):
            return self._of_new(conversation_id, now)
        if view.is_open:
            return Moment(Phase.OPEN, None)
        if view.state == UNKNOWN_STATE:
            return Moment(Phase.UNKNOWN, None)
        inside = bool(self._window) and (view.state == "closed" or view.kind.threads)
        phase = Phase.RESUMABLE if inside else Phase.EXPIRED
        ends = self._world.ends_at(conversation_id) if view.kind.moves else None
        if ends is not None and self._window:
            return Moment(phase, iso(ends + self._wall_offset - self._window))
        return Moment(phase, self._lately if inside else self._long_ago)

    def _of_new(self, conversation_id: str, now: float) -> Moment:
        latest, at = self._last.get(ids.root(conversation_id), ("", 0.0))
        if latest != conversation_id:
            return Moment(Phase.EXPIRED, self._long_ago)
        inside = now - at < self._window
        return Moment(Phase.RESUMABLE if inside else Phase.EXPIRED, iso(at + self._wall_offset))

    def began(self, conversation_id: str, first_message: float | None) -> str:
        """Return when a conversation began, for one that a message began with that message."""
        if conversation_id.startswith(ids.NEW) and first_message is not None:
            return iso(first_message)
        return self._began

    def note(self, conversation_id: str, now: float) -> None:
        """Remember that a message began or joined this conversation, which is a new one."""
        self._last[ids.root(conversation_id)] = (conversation_id, now)

    def newest(self, root: str, now: float) -> str | None:
        """Return the conversation that messages began with a person, inside the window."""
        latest, at = self._last.get(root, ("", 0.0))
        return latest if latest and now - at < self._window else None
