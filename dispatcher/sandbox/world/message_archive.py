"""The messages that looking back shows: those that took effect, each after its own lag."""

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

    def add(self, effect: Effect, message_id: str) -> None:
        """Keep a message that took effect."""
        if not self._rules.keep:
            return
        message = ArchivedMessage(
            message_id, effect.text, effect.time, effect.time + self.lag(message_id)
        )
        self._messages[effect.conversation_id].append(message)
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

    def conversations(self) -> list[str]:
        """Return every conversation that has a message."""
        return list(self._messages)

    def continuing(self, previous_id: str, now: float) -> list[str]:
        """Return the conversations that continue another one and are visible at this time."""
        continuing = self._continued.get(previous_id, ())
        return [new_id for new_id in continuing if self.messages(new_id, now)]
