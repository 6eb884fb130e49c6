"""Whether the ledger and the sandbox's log of what took effect tell the same story."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.ledgers.read.rows import ContactRow, LineageRow
from dispatcher.sandbox.contact_files import expected
from dispatcher.sandbox.conversation_kinds import kind_name

Effect = Mapping[str, Any]
"""One line of the sandbox's log."""

SHOWN = 10
"""Differences that are named; of the others the number is told."""


@dataclass(frozen=True, slots=True)
class DemoEvidence:
    """What all sides say: effects of the sandbox, lineage and settled contacts of the ledger.

    ``swallowed`` are the numbers of the source's lines of which the ledger knows nothing.
    """

    effects: tuple[Effect, ...]
    lineage: tuple[LineageRow, ...]
    contacts: tuple[ContactRow, ...]
    swallowed: tuple[int, ...] = ()


def verdict(story: DemoEvidence) -> tuple[bool, str]:
    """Tell whether both sides agree, in words."""
    found = list(differences(story))
    if found:
        shown = [f"  {line}" for line in found[:SHOWN]]
        more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        head = f"The ledger and the sandbox's log differ in {len(found)} places:"
        return False, "\n".join([head, *shown, *more])
    return True, (
        "The ledger and the sandbox's log agree to the last contact:\n"
        f"  {len(story.effects):,} messages took effect, no contact got two,"
        " and each is in the lineage with its conversation;\n"
        f"  {len(story.contacts):,} contacts are settled,"
        " each as its kind of conversation demands."
    )


def differences(story: DemoEvidence) -> Iterator[str]:
    """Yield everything in which the two differ; nothing if they agree to the last contact."""
    yield from _twice(story.effects)
    yield from _unlike(story.effects, story.lineage)
    yield from _unexpected(story.contacts)
    yield from (f"line {line} of the contacts' file is nowhere" for line in story.swallowed)


def swallowed(
    rows: Iterable[tuple[int, str]], contacts: Iterable[ContactRow], rejected: Iterable[int]
) -> tuple[int, ...]:
    """Return the lines that became neither a contact nor a rejected row.

    ``rows`` are the source's lines that its filter lets in, each with its conversation id.
    """
    known = {contact.conversation_id for contact in contacts}
    kept = set(rejected)
    return tuple(line for line, named in rows if named not in known and line not in kept)


def _twice(effects: Iterable[Effect]) -> Iterator[str]:
    times = Counter(_previous(effect) for effect in effects)
    for conversation, number in times.items():
        if number > 1:
            yield f"{conversation} got {number} messages"


def _unlike(effects: Iterable[Effect], lineage: Iterable[LineageRow]) -> Iterator[str]:
    """Compare message by message: from which conversation into which one, and to whom."""
    happened = {(_previous(effect), effect["conversationId"]): effect for effect in effects}
    written = {(row.previous_conversation_id, row.conversation_id): row for row in lineage}
    for previous, conversation in happened.keys() - written.keys():
        yield f"the message from {previous} into {conversation} is not in the lineage"
    for previous, conversation in written.keys() - happened.keys():
        yield f"the lineage's message from {previous} into {conversation} never took effect"
    for pair in happened.keys() & written.keys():
        told, effect = _as_written(written[pair]), _as_happened(happened[pair])
        if told != effect:
            yield f"the lineage says {told} of {pair[1]}, the sandbox {effect}"


def _unexpected(contacts: Iterable[ContactRow]) -> Iterator[str]:
    """Compare how each contact ended with what its kind of conversation permits."""
    for contact in contacts:
        kind = kind_name(contact.conversation_id)
        ended = (contact.status, contact.reason)
        if kind and ended != expected(kind):
            yield f"{contact.conversation_id} ended as {ended}, not as {expected(kind)}"


def _previous(effect: Effect) -> str:
    """Return the conversation that a contact's row named."""
    return str(effect["previousConversationId"] or effect["conversationId"])


def _as_happened(effect: Effect) -> tuple[object, ...]:
    if effect["kind"] == "notified":
        return effect["kind"], effect["messageId"]
    return effect["kind"], effect["externalContactId"]


def _as_written(row: LineageRow) -> tuple[object, ...]:
    if row.relation == "notified":
        return row.relation, row.message_id
    return row.relation, row.external_contact_id
