"""Whether the ledger and the sandbox's log of what took effect tell the same story."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.sandbox.contacts import expected
from dispatcher.sandbox.kinds import kind_name

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """What both sides say: effects of the sandbox, lineage and settled contacts of the ledger."""

    effects: tuple[Row, ...]
    lineage: tuple[Row, ...]
    contacts: tuple[Row, ...]


def differences(story: Story) -> Iterator[str]:
    """Yield everything in which the two differ; nothing if they agree to the last contact."""
    yield from _twice(story.effects)
    yield from _unlike(story.effects, story.lineage)
    yield from _unexpected(story.contacts)


def _twice(effects: Iterable[Row]) -> Iterator[str]:
    times = Counter(_previous(effect) for effect in effects)
    for conversation, number in times.items():
        if number > 1:
            yield f"{conversation} got {number} messages"


def _unlike(effects: Iterable[Row], lineage: Iterable[Row]) -> Iterator[str]:
    """Compare message by message: which conversation, which one before it, and whose."""
    happened = {effect["messageId"] or effect["conversationId"]: effect for effect in effects}
    written = {row["message_id"] or row["conversation_id"]: row for row in lineage}
    for name in happened.keys() - written.keys():
        yield f"message {name} to {_previous(happened[name])} is not in the lineage"
    for name in written.keys() - happened.keys():
        yield f"message {name} of the lineage never took effect"
    for name in happened.keys() & written.keys():
        if _as_effect(written[name]) != _as_told(happened[name]):
            yield f"message {name} differs: {_as_effect(written[name])} {_as_told(happened[name])}"


def _unexpected(contacts: Iterable[Row]) -> Iterator[str]:
    """Compare how each contact ended with what its kind of conversation permits."""
    for contact in contacts:
        kind = kind_name(contact["conversation_id"])
        ended = (contact["status"], contact["reason"])
        if kind and ended != expected(kind):
            yield f"{contact['conversation_id']} ended as {ended}, not as {expected(kind)}"


def _previous(effect: Row) -> str:
    """Return the conversation that a contact's row named."""
    return str(effect["previousConversationId"] or effect["conversationId"])


def _as_told(effect: Row) -> tuple[object, ...]:
    return effect["kind"], effect["conversationId"], _previous(effect)


def _as_effect(row: Row) -> tuple[object, ...]:
    return row["relation"], row["conversation_id"], row["previous_conversation_id"]
