"""Compares the ledger with the sandbox's log of the messages that took effect."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.ports.stored_rows import ContactRow, LineageRow
from dispatcher.sandbox.contact_files import expected
from dispatcher.sandbox.conversation_kinds import kind_name

Effect = Mapping[str, Any]
"""One line of the sandbox's log."""

SHOWN = 10
"""How many differences are listed; of the others only the number is printed."""


@dataclass(frozen=True, slots=True)
class DemoEvidence:
    """Effects of the sandbox, and lineage and settled contacts of the ledger.

    ``swallowed`` are the numbers of the source's lines that are not in the ledger.
    """

    effects: tuple[Effect, ...]
    lineage: tuple[LineageRow, ...]
    contacts: tuple[ContactRow, ...]
    swallowed: tuple[int, ...] = ()


def compare(evidence: DemoEvidence) -> tuple[bool, str]:
    """Return whether the ledger and the log agree, and a text that reports it."""
    found = list(differences(evidence))
    if found:
        shown = [f"  {line}" for line in found[:SHOWN]]
        more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        head = f"The ledger and the sandbox's log differ ({len(found)}):"
        return False, "\n".join([head, *shown, *more])
    return True, (
        "The ledger and the sandbox's log agree for every contact:\n  "
        f"{len(evidence.effects):,} messages took effect, no contact got two, and each is in the "
        f"lineage with its conversation;\n  {len(evidence.contacts):,} contacts are final, each "
        "with the status that its kind of conversation must have."
    )


def differences(evidence: DemoEvidence) -> Iterator[str]:
    """Yield every difference between the ledger and the log."""
    yield from _sent_twice(evidence.effects)
    yield from _compare_lineage(evidence.effects, evidence.lineage)
    yield from _unexpected(evidence.contacts)
    yield from (
        f"line {line} of the contacts' file became neither a contact nor a rejected row"
        for line in evidence.swallowed
    )


def find_swallowed(
    rows: Iterable[tuple[int, str]], contacts: Iterable[ContactRow], rejected: Iterable[int]
) -> tuple[int, ...]:
    """Return the lines that became neither a contact nor a rejected row.

    ``rows`` are the source's lines that its filter accepts, each with its conversation id.
    """
    known = {contact.conversation_id for contact in contacts}
    rejected_lines = set(rejected)
    return tuple(line for line, named in rows if named not in known and line not in rejected_lines)


def _sent_twice(effects: Iterable[Effect]) -> Iterator[str]:
    times = Counter(_previous(effect) for effect in effects)
    for conversation, number in times.items():
        if number > 1:
            yield f"{conversation} got {number} messages"


def _compare_lineage(effects: Iterable[Effect], lineage: Iterable[LineageRow]) -> Iterator[str]:
    """Compare every message: its two conversations and its recipient."""
    effect_by_link = {(_previous(effect), effect["conversationId"]): effect for effect in effects}
    row_by_link = {(row.previous_conversation_id, row.conversation_id): row for row in lineage}
    for previous, conversation in effect_by_link.keys() - row_by_link.keys():
        yield f"the message from {previous} into {conversation} is not in the lineage"
    for previous, conversation in row_by_link.keys() - effect_by_link.keys():
        yield f"the lineage's message from {previous} into {conversation} never took effect"
    for link in effect_by_link.keys() & row_by_link.keys():
        recorded, effect = _of_row(row_by_link[link]), _of_effect(effect_by_link[link])
        if recorded != effect:
            yield f"the lineage says {recorded} of {link[1]}, the sandbox {effect}"


def _unexpected(contacts: Iterable[ContactRow]) -> Iterator[str]:
    """Compare the end of each contact with the one that its kind of conversation leads to."""
    for contact in contacts:
        kind = kind_name(contact.conversation_id)
        ended = (contact.status, contact.reason)
        if kind and ended != expected(kind):
            yield f"{contact.conversation_id} ended as {ended}, not as {expected(kind)}"


def _previous(effect: Effect) -> str:
    """Return the conversation that a contact's row named."""
    return str(effect["previousConversationId"] or effect["conversationId"])


def _of_effect(effect: Effect) -> tuple[object, ...]:
    if effect["kind"] == "notified":
        return effect["kind"], effect["messageId"]
    return effect["kind"], effect["externalContactId"]


def _of_row(row: LineageRow) -> tuple[object, ...]:
    if row.relation == "notified":
        return row.relation, row.message_id
    return row.relation, row.external_contact_id
