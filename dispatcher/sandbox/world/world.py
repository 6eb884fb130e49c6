"""The state of every conversation: derived from its id, stored only if it can change."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple
from zlib import crc32

from dispatcher.sandbox.conversation_kinds import (
    KINDS,
    NEW_KIND,
    OPEN_STATES,
    UNKNOWN_STATE,
    ConversationKind,
    SendVerdict,
    kind_name,
)
from dispatcher.sandbox.scenario.model import WorldRules
from dispatcher.sandbox.world import ids
from dispatcher.sandbox.world.random import fraction

_UNKNOWN_CHECKS = 2


class ConversationView(NamedTuple):
    """A conversation at one moment."""

    kind: ConversationKind
    state: str
    external_contact_id: str | None
    guest: str | None
    address: str | None
    previous: str | None

    @property
    def is_open(self) -> bool:
        """Whether a message can be sent into it."""
        return self.state in OPEN_STATES


class SendTarget(NamedTuple):
    """The recipient in an open request."""

    guest: str | None
    address: str | None


@dataclass(slots=True)
class _Record:
    """What is stored of a conversation whose state changes."""

    first_look: float
    checks: int = 0
    touched: float | None = None
    """Time of the first send that changed it."""


class World:
    """All conversations; times are seconds of a monotonic clock."""

    def __init__(self, rules: WorldRules, seed: int) -> None:
        self._rules = rules
        self._seed = seed
        self._records: dict[str, _Record] = {}
        self._unlinked: dict[str, tuple[str | None, SendTarget]] = {}
        self._opened = array("L")
        """A checksum of the previous id of each new conversation, by its number."""
        self._names = list(rules.shares)
        weights = list(accumulate(rules.shares.values()))
        self._bounds = [weight / weights[-1] for weight in weights]
        self._turned: dict[str, str] = {}

    def kind_of(self, conversation_id: str) -> ConversationKind:
        """Return the kind in the id, or the one that the seed draws for it, as it is now."""
        name = kind_name(conversation_id)
        if not name:
            index = bisect_right(self._bounds, fraction(self._seed, "kind", conversation_id))
            name = self._names[min(index, len(self._names) - 1)]
        return KINDS[self._turned.get(name, name)]

    def turn(self, kinds: Mapping[str, str]) -> None:
        """Let conversations of some kinds be of another one from now on."""
        self._turned.update(kinds)

    def look(
        self, conversation_id: str, now: float, *, checks: int = 0, remember: bool = True
    ) -> ConversationView | None:
        """Return a conversation, None if it is gone.

        ``checks``: count so many state checks of it. Unless ``remember``, no timer of it starts.
        """
        if conversation_id.startswith(ids.NEW):
            return self._look_at_new(conversation_id)
        kind = self.kind_of(conversation_id)
        if kind.name == "gone":
            return None
        if kind.moves and remember:
            self._records.setdefault(conversation_id, _Record(now))
        return ConversationView(
            kind,
            self._state(kind, conversation_id, now, checks),
            "x-" + conversation_id if kind.known else None,
            "g-" + conversation_id if kind.reachable else None,
            "a-" + conversation_id if kind.reachable else None,
            None,
        )

    def _look_at_new(self, conversation_id: str) -> ConversationView | None:
        number, previous = ids.number(conversation_id), ids.previous(conversation_id)
        if not 0 <= number < len(self._opened) or self._opened[number] != _checksum(previous):
            return None
        if conversation_id in self._unlinked:
            external, target = self._unlinked[conversation_id]
            return ConversationView(
                NEW_KIND, "active", external, target.guest, target.address, None
            )
        return ConversationView(
            NEW_KIND,
            "active",
            ids.external_contact_id(conversation_id),
            ids.guest_id(conversation_id),
            ids.address(conversation_id),
            previous,
        )

    def _state(self, kind: ConversationKind, conversation_id: str, now: float, checks: int) -> str:
        if kind.moves:
            record = self._records.get(conversation_id) or _Record(now)
            record.checks += checks
            return _MOVERS[kind.name](record, now, self._rules)
        if kind.mixed:
            return "active" if fraction(self._seed, "mixed", conversation_id) < 0.5 else "ended"  # noqa: PLR2004 - half of them
        return kind.state

    def touch(self, conversation_id: str, now: float) -> bool:
        """Record a send that changes a conversation; return True the first time."""
        record = self._records.setdefault(conversation_id, _Record(now))
        first = record.touched is None
        if first:
            record.touched = now
        return first

    def try_notify(
        self, conversation_id: str, now: float
    ) -> tuple[SendVerdict, ConversationView | None]:
        """Return the verdict on a message into a conversation, and change its state."""
        view = self.look(conversation_id, now)
        if view is None:
            return SendVerdict.GONE, None
        name = view.kind.name
        if view.kind.verdict is not None:
            return view.kind.verdict, view
        if name == "stubborn" or (name == "closing" and self.touch(conversation_id, now)):
            return SendVerdict.CLOSED, view
        if name == "notactive" and self.touch(conversation_id, now):
            return SendVerdict.NOT_ACTIVE, view
        if name == "vanished" and self.touch(conversation_id, now):
            return SendVerdict.GONE, view
        return (SendVerdict.ACCEPTED if view.is_open else SendVerdict.CLOSED), view

    def try_link(
        self, previous: str, external_contact_id: str | None, target: SendTarget, now: float
    ) -> SendVerdict:
        """Return the verdict on a new conversation that names a previous one."""
        view = self.look(previous, now)
        if view is None:
            return SendVerdict.GONE
        if view.kind.verdict is not None:
            return view.kind.verdict
        if view.kind.name == "returning" and self.touch(previous, now):
            return SendVerdict.PREVIOUS_OPEN
        return _judge_link(view, external_contact_id, target)

    def ends_at(self, conversation_id: str) -> float | None:
        """Return when a conversation that closes by itself ends; None if that is not known."""
        record = self._records.get(conversation_id)
        since = _CLOSED_SINCE.get(self.kind_of(conversation_id).name)
        closed = None if record is None or since is None else since(record, self._rules)
        return None if closed is None else closed + self._rules.ended_after

    def open_linked(self, previous: str) -> str:
        """Create the conversation that continues the previous one; return its id."""
        self._opened.append(_checksum(previous))
        return ids.new_id(len(self._opened) - 1, previous)

    def open_unlinked(self, external_contact_id: str | None, target: SendTarget) -> str:
        """Create a conversation without a previous one; return its id."""
        conversation_id = self.open_linked("")
        self._unlinked[conversation_id] = (external_contact_id, target)
        return conversation_id


def _checksum(conversation_id: str) -> int:
    return crc32(conversation_id.encode())


def _judge_link(
    view: ConversationView, external_contact_id: str | None, target: SendTarget
) -> SendVerdict:
    if view.is_open:
        return SendVerdict.PREVIOUS_OPEN
    if view.state != "ended":
        return SendVerdict.NOT_ENDED
    if view.external_contact_id is None or view.external_contact_id != external_contact_id:
        return SendVerdict.IDENTITY
    if not view.kind.proactive:
        return SendVerdict.CHANNEL
    if not _reaches(view, target):
        return SendVerdict.TARGET
    return SendVerdict.LOOP if view.kind.name == "loop" else SendVerdict.ACCEPTED


def _reaches(view: ConversationView, target: SendTarget) -> bool:
    if target.guest is not None:
        return target.guest == view.guest
    return target.address is not None and target.address == view.address


def _closing(
    since: Callable[[_Record, WorldRules], float | None],
) -> Callable[[_Record, float, WorldRules], str]:
    """Return the mover of a kind that is open until it closes, and ends some time later."""

    def state(record: _Record, now: float, rules: WorldRules) -> str:
        closed = since(record, rules)
        if closed is None or now < closed:
            return "active"
        return "ended" if now - closed >= rules.ended_after else "closed"

    return state


def _touched(before: str, after: str) -> Callable[[_Record, float, WorldRules], str]:
    """Return the mover of a kind whose state the first send changes."""
    return lambda record, _now, _rules: before if record.touched is None else after


_CLOSED_SINCE: dict[str, Callable[[_Record, WorldRules], float | None]] = {
    "closed": lambda record, _: record.first_look,
    "leaving": lambda record, rules: record.first_look + rules.leaves_after,
    "agentleaving": lambda record, rules: record.first_look + rules.leaves_after,
    "closing": lambda record, _: record.touched,
}
"""When a conversation closed by itself, or will; None: not yet known."""
_MOVERS: dict[str, Callable[[_Record, float, WorldRules], str]] = {
    **{name: _closing(since) for name, since in _CLOSED_SINCE.items()},
    "returning": _touched("ended", "active"),
    "vanished": _touched("active", "ended"),
    "notactive": _touched("active", "active"),
    "waking": lambda record, _now, _rules: (
        UNKNOWN_STATE if record.checks <= _UNKNOWN_CHECKS else "ended"
    ),
}
"""The state of a conversation that moves, by the name of its kind."""
