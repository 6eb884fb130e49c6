"""Reads the states of many conversations at once from the analytics of the `genesys` dialect."""

from collections.abc import Sequence
from urllib.parse import quote

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.ids import canonical_id, same_id
from dispatcher.platforms.genesys.requests import DETAILS_PATH, Sender, needs_address
from dispatcher.platforms.genesys.responses import ENGAGED_PURPOSES, customers, parse_failure
from dispatcher.platforms.genesys.threading_timeline import ThreadingWindows
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.response_parsing import (
    correlation,
    id_text,
    listed,
    moment,
    path_part,
    text,
)


def details_target(conversation_ids: Sequence[str]) -> str:
    """Return the path and query for several conversations."""
    ids = ",".join(quote(path_part(canonical_id(id_)), safe="") for id_ in conversation_ids)
    return f"{DETAILS_PATH}?id={ids}"


def read_states(
    response: HttpResponse, sender: Sender, windows: ThreadingWindows, now: float
) -> Answer:
    """Parse the conversations that analytics show; ``now`` is by the platform's clock."""
    body = response.success_body
    if body is None:
        return parse_failure(response)
    rows = (_conversation(row, sender, windows, now) for row in listed(body, "conversations"))
    readable = tuple(conversation for conversation in rows if conversation is not None)
    return Answer(
        response.status,
        from_platform=True,
        conversations=readable if isinstance(body.get("conversations"), list) else None,
        correlation_id=correlation(response),
    )


def _conversation(
    row: object, sender: Sender, windows: ThreadingWindows, now: float
) -> Conversation | None:
    """Parse one record; None if it lacks its one person, or what a send would need."""
    id_, participants = id_text(row, "conversationId"), listed(row, "participants")
    found = customers(participants)
    people = {id_text(customer, "externalContactId") for customer in found} - {None}
    sessions = [session for customer in found for session in listed(customer, "sessions")]
    if id_ is None or len(people) != 1 or not sessions:
        return None
    target = _target(sessions, sender)
    if target is None and needs_address(sender.messenger):
        return None
    engaged = False
    if text(row, "conversationEnd") is None:
        state = State.OPEN
        engaged = any(
            text(part, "purpose") in ENGAGED_PURPOSES and _is_active(part) for part in participants
        )
    else:
        messenger = text(sessions[0], "messageType") or sender.messenger
        state = windows.state(messenger, moment(row, "conversationEnd"), now)
    return Conversation(id_, state, next(iter(people)), target, engaged=engaged)


def _is_active(participant: object) -> bool:
    """Return True if a participant has a segment without an end."""
    return any(
        text(segment, "segmentEnd") is None
        for session in listed(participant, "sessions")
        for segment in listed(session, "segments")
    )


def _target(sessions: Sequence[object], sender: Sender) -> Target | None:
    """Return the customer's address; None in web messaging, which uses no address."""
    if not needs_address(sender.messenger):
        return None
    for session in sessions:
        for key in ("addressFrom", "addressTo"):
            address = text(session, key)
            if address is not None and not same_id(address, sender.from_address):
                return Target(address, is_guest_id=False)
    return None
