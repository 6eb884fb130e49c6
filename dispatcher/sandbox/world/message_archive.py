"""The messages that looking back shows: those that took effect, each after its own lag."""

from bisect import bisect_left
from collections import defaultdict
from typing import NamedTuple

from dispatcher.sandbox.scenario.model import Analytics
from dispatcher.sandbox.world.effect_log import Effect
from dispatcher.sandbox.world.random import fraction


class ArchivedMessage(NamedTuple):
    """One outbound message; ``time`` and ``visible`` in seconds since the epoch."""

    message_id: str
    text: str
    time: float
    visible: float


class MessageArchive:
    """Messages by conversation, and which conversations continue which."""

    def __init__(self, rules: Analytics, seed: int) -> None:
        self._rules = rules
        self._seed = seed
        self._messages: defaultdict[str, list[ArchivedMessage]] = defaultdict(list)
        self._continued: defaultdict[str, list[str]] = defaultdict(list)
        self._known: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._times: list[float] = []
        self._in_order: list[str] = []
        """The conversation of each message, and its time, in the order of the effects."""

    def add(self, effect: Effect, message_id: str) -> None:
        """Keep a message that took effect."""
        if not self._rules.keep:
            return
        message = ArchivedMessage(
            message_id, effect.text, effect.time, effect.time + self.lag(message_id)
        )
        self._messages[effect.conversation_id].append(message)
        self._times.append(max(effect.time, self._times[-1] if self._times else effect.time))
        self._in_order.append(effect.conversation_id)
        if effect.external_contact_id is not None:
            self._known[effect.external_contact_id][effect.conversation_id] = None
        if effect.kind == "linked" and effect.previous_id is not None:
            self._continued[effect.previous_id].append(effect.conversation_id)

    def lag(self, message_id: str) -> float:
        """Return how many seconds after its time a record is visible."""
        if fraction(self._seed, "straggler", message_id) < self._rules.straggler_share:
            return self._rules.straggler_lag_seconds
        return self._rules.lag_seconds

    def messages(self, conversation_id: str, now: float) -> list[ArchivedMessage]:
        """Return the messages of a conversation that are visible at this time."""
        messages = self._messages.get(conversation_id, ())
        return [message for message in messages if message.visible <= now]

    def with_contact(self, external_contact_id: str) -> list[str]:
        """Return the conversations with a message to this person."""
        return list(self._known.get(external_contact_id, ()))

    def conversations(self, since: float) -> list[str]:
        """Return the conversations with a message that is not older than ``since``."""
        first = bisect_left(self._times, since)
        return list(dict.fromkeys(self._in_order[first:]))

    def continuing(self, previous_id: str, now: float) -> list[str]:
        """Return the conversations that continue another one and are visible at this time."""
        continuing = self._continued.get(previous_id, ())
        return [new_id for new_id in continuing if self.messages(new_id, now)]
