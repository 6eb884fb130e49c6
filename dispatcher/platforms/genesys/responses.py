"""Parses the responses of the `genesys` dialect."""

from collections.abc import Callable, Iterator, Sequence

from dispatcher.domain.answer import Answer, Hint
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.ids import same_id
from dispatcher.domain.past_conversation import PastMessage
from dispatcher.domain.status import Step
from dispatcher.platforms.genesys.requests import Sender, needs_address
from dispatcher.platforms.genesys.threading_timeline import ThreadingWindows
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.missing_grants import GENESYS_PAGES
from dispatcher.platforms.response_parsing import (
    Body,
    correlation,
    get_value,
    id_text,
    listed,
    moment,
    parse_refusal,
    text,
)

LEFT_STATES = frozenset({"disconnected", "terminated"})
PRESENT_STATES = frozenset(
    {
        "alerting",
        "dialing",
        "contacting",
        "offering",
        "connected",
        "converting",
        "uploading",
        "transmitting",
        "parked",
        "scheduled",
        "none",
    }
)
"""States of a participant that has not left (source: platform contract, state check)."""
CUSTOMER = "customer"
EXTERNAL = "external"
"""The other side of a conversation that our own side began (source: the SDK's purposes)."""
ENGAGED_PURPOSES = frozenset({"agent", "user", "bot", "botflow"})
"""Purposes of participants whom a message into the session would interrupt."""
FOREIGN_PURPOSES = ENGAGED_PURPOSES | {
    "acd",
    "campaign",
    "dialer",
    "external",
    "fax",
    "group",
    "inbound",
    "ivr",
    "station",
    "voicemail",
    "voicesurveyflow",
    "workflow",
}
"""Purposes of participants whose messages are not from an agentless send.

An agentless send is a participant of its own. A message of an unknown purpose may be such a send.
"""
_CONVERSATION_WORDS = ("active", "connected", "existing", "already", "in progress")
_OTHER_SUBJECTS = (
    "text",
    "template",
    "address",
    "external contact",
    "externalcontact",
    "messenger",
    "deployment",
    "integration",
    "parameter",
    "json",
)
"""Reasons to refuse a send which are not the person's conversation."""


def read_check(
    response: HttpResponse, checked: str, sender: Sender, windows: ThreadingWindows, now: float
) -> Answer:
    """Parse the state check of conversation ``checked``; ``now`` is by the platform's clock."""
    body = response.success_body
    if body is None:
        return parse_failure(response)
    return Answer(
        response.status,
        from_platform=True,
        conversation=conversation(body, checked, sender, windows, now),
        correlation_id=correlation(response),
    )


def read_sent(step: Step, response: HttpResponse) -> Answer:
    """Parse the response to a send; if it lacks one of the two ids, the send is in doubt."""
    body = response.success_body
    if body is None:
        may_be_open = step is Step.OPEN and response.status in (400, 409)
        return parse_failure(response, _send_hint if may_be_open else _no_hint)
    message, inside = id_text(body, "id"), id_text(body, "conversationId")
    return Answer(
        response.status,
        from_platform=True,
        message_id=message if inside is not None else None,
        conversation_id=inside if message is not None else None,
        correlation_id=correlation(response),
    )


def _no_hint(_: Body, _message: str) -> Hint:
    return Hint.NONE


def _send_hint(body: Body, message: str) -> Hint:
    """Return whether a refused send means, or may mean, that the person has an open conversation.

    The status and the words of that refusal could not be found (source: platform contract, send).
    So every refusal may mean it, except one that is plainly about something else. The state check
    that follows decides.
    """
    words = f"{text(body, 'code') or ''} {message}".lower()
    if "proactive" in words:
        return Hint.CHANNEL
    if "conversation" in words and any(word in words for word in _CONVERSATION_WORDS):
        return Hint.TALKING
    return Hint.NONE if any(subject in words for subject in _OTHER_SUBJECTS) else Hint.ACTIVE


def parse_failure(response: HttpResponse, hint: Callable[[Body, str], Hint] = _no_hint) -> Answer:
    """Parse a response that is no success, or that cannot be read."""
    return parse_refusal(response, hint, GENESYS_PAGES)


def conversation(
    body: Body, checked: str, sender: Sender, windows: ThreadingWindows, now: float
) -> Conversation | None:
    """Parse a conversation; None if it is not the conversation ``checked``."""
    participants = listed(body, "participants")
    if not same_id(text(body, "id"), checked) or not isinstance(body.get("participants"), list):
        return None
    customer = latest_customer(participants)
    if customer is None:
        return Conversation(checked, State.UNKNOWN)
    state, engaged = _state(customer, participants, sender, windows, now)
    return Conversation(
        id=checked,
        state=state,
        external_contact_id=person(customer),
        target=_target(customer, sender),
        engaged=engaged,
    )


def customers(participants: Sequence[object]) -> list[object]:
    """Return the participants that are the customer; a resumed conversation has several.

    Where nobody is a customer, our own side began, and the external participant is the customer.
    Beside a customer it is a third party.
    """
    return [part for part in participants if text(part, "purpose") == CUSTOMER] or [
        part for part in participants if text(part, "purpose") == EXTERNAL
    ]


def latest_customer(participants: Sequence[object]) -> object | None:
    """Return the customer that joined last."""
    return max(reversed(customers(participants)), key=_joining_time, default=None)


def person(customer: object) -> str | None:
    """Return the external contact id of a customer."""
    return id_text(get_value(customer, "externalContact"), "id")


def address(participant: object, key: str) -> str | None:
    """Return one of a participant's addresses, normalized by the platform if possible."""
    found = get_value(participant, key)
    return text(found, "addressNormalized") or text(found, "addressRaw")


def messages(participants: Sequence[object], indexed_until: float) -> tuple[PastMessage, ...]:
    """Return the customer's messages, and those that an agentless send may have made.

    In a conversation that our own side began, a message of the other side counts as ours unless it
    was received: it is not documented which participant has the first message. Messages have no
    texts. Analytics show those until ``indexed_until``, too.
    """
    found: dict[str, PastMessage] = {}
    for row, outbound in _message_rows(participants):
        id_, at = id_text(row, "messageId"), moment(row, "messageTime")
        if id_ is not None and at is not None:
            message = PastMessage(id_, outbound, at, None, indexed=at <= indexed_until)
            found.setdefault(id_, message)
    return tuple(found.values())


def unread_times(participants: Sequence[object]) -> tuple[float | None, ...]:
    """Return the times of messages that a send may have made, and that `messages` leaves out."""
    return tuple(
        moment(row, "messageTime")
        for row, outbound in _message_rows(participants)
        if outbound and None in (id_text(row, "messageId"), moment(row, "messageTime"))
    )


def _message_rows(participants: Sequence[object]) -> Iterator[tuple[object, bool]]:
    """Yield the messages that are not another sender's, and whether they can be outbound."""
    customer = {text(part, "purpose") for part in customers(participants)}
    for participant in participants:
        purpose = text(participant, "purpose")
        if purpose not in FOREIGN_PURPOSES - customer:
            for row in listed(participant, "messages"):
                yield row, purpose != CUSTOMER and text(row, "messageStatus") != "received"


def _joining_time(customer: object) -> float:
    return moment(customer, "connectedTime") or moment(customer, "startTime") or float("-inf")


def _state(
    customer: object,
    participants: Sequence[object],
    sender: Sender,
    windows: ThreadingWindows,
    now: float,
) -> tuple[State, bool]:
    """Return the conversation's state, and whether a bot or an agent is connected."""
    customer_state = text(customer, "state")
    if customer_state in LEFT_STATES:
        messenger = text(customer, "type") or sender.messenger
        return windows.state(messenger, moment(customer, "endTime"), now), False
    engaged = [part for part in participants if text(part, "purpose") in ENGAGED_PURPOSES]
    engaged_states = {text(part, "state") for part in engaged} - LEFT_STATES
    if not {customer_state, *engaged_states} <= PRESENT_STATES:
        return State.UNKNOWN, False
    return State.OPEN, "connected" in engaged_states


def _target(customer: object, sender: Sender) -> Target | None:
    """Return the customer's address; None in web messaging, which uses no address."""
    if not needs_address(sender.messenger):
        return None
    for key in ("fromAddress", "toAddress"):  # "from" is the side that wrote first
        found = address(customer, key)
        if found is not None and not same_id(found, sender.from_address):
            return Target(found, is_guest_id=False)
    return None
