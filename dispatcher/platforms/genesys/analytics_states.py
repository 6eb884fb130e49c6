"""States as the analytics of the `genesys` dialect record them: many in one answer."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.platforms.genesys.requests import DETAILS_PATH, Sender, needs_address
from dispatcher.platforms.genesys.responses import CUSTOMER, ENGAGED_PURPOSES, not_taken
from dispatcher.platforms.genesys.threading_timeline import ThreadingWindows
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.response_parsing import Body, correlation, listed, moment, path_part, text


def details_target(conversation_ids: Sequence[str]) -> str:
    """Return path and query that ask for several conversations."""
    ids = ",".join(quote(path_part(each), safe="") for each in conversation_ids)
    return f"{DETAILS_PATH}?id={ids}"


def read_states(
    exchange: HttpResponse, sender: Sender, windows: ThreadingWindows, now: float
) -> Answer:
    """Read what analytics record of the conversations asked for; ``now`` is the platform's time."""
    body = exchange.body
    if body is None or exchange.status // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
        return not_taken(exchange)
    return Answer(
        exchange.status,
        from_platform=True,
        conversations=_conversations(body, sender, windows, now),
        correlation_id=correlation(exchange),
    )


def _conversations(
    body: Body, sender: Sender, windows: ThreadingWindows, now: float
) -> tuple[Conversation, ...] | None:
    if not isinstance(body.get("conversations"), list):
        return None
    read = (_conversation(row, sender, windows, now) for row in listed(body, "conversations"))
    return tuple(each for each in read if each is not None)


def _conversation(
    row: object, sender: Sender, windows: ThreadingWindows, now: float
) -> Conversation | None:
    """Read one record; None where it does not tell plainly who it is with, and how they are."""
    id_, there = text(row, "conversationId"), listed(row, "participants")
    customers = [each for each in there if text(each, "purpose") == CUSTOMER]
    people = {text(each, "externalContactId") for each in customers} - {None}
    sessions = [each for customer in customers for each in listed(customer, "sessions")]
    if id_ is None or len(people) != 1 or not sessions:
        return None
    target = _target(sessions, sender)
    if target is None and needs_address(sender.messenger):
        return None
    engaged = False
    if text(row, "conversationEnd") is None:
        state = State.OPEN
        engaged = any(_goes_on(each) for each in there if text(each, "purpose") in ENGAGED_PURPOSES)
    else:
        messenger = text(sessions[0], "messageType") or sender.messenger
        state = windows.state(messenger, moment(row, "conversationEnd"), now)
    return Conversation(id_, state, next(iter(people)), target, engaged=engaged)


def _goes_on(participant: object) -> bool:
    """Tell whether a participant is in a segment that has no end."""
    return any(
        text(segment, "segmentEnd") is None
        for session in listed(participant, "sessions")
        for segment in listed(session, "segments")
    )


def _target(sessions: Sequence[object], sender: Sender) -> Target | None:
    """Return where the customer is reached; in web messaging no address is used."""
    if not needs_address(sender.messenger):
        return None
    found = (each for each in _addresses(sessions) if each != sender.from_address)
    return next((Target(each, is_guest_id=False) for each in found), None)


def _addresses(sessions: Sequence[object]) -> Iterator[str]:
    for session in sessions:
        for key in ("addressFrom", "addressTo"):
            found = text(session, key)
            if found is not None:
                yield found
