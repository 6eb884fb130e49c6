"""The `genesys` dialect's answers, turned into the domain's."""

from collections.abc import Callable, Iterator, Sequence

from dispatcher.domain.answer import Answer, Hint
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.past_conversation import PastMessage
from dispatcher.domain.status import Step
from dispatcher.platforms.genesys.hints import no_hint, send_hint
from dispatcher.platforms.genesys.requests import Sender, needs_address
from dispatcher.platforms.genesys.threading_timeline import ThreadingWindows
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.missing_grants import GENESYS_PAGES
from dispatcher.platforms.response_parsing import (
    Body,
    correlation,
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
ENGAGED_PURPOSES = frozenset({"agent", "user", "bot", "botflow"})
"""Purposes of those that a message into the session would interrupt."""
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
"""Purposes whose messages no agentless send has made. An agentless send is the API's own
participant; messages of a purpose that is not known are taken for possible ones of ours."""


def read_check(
    exchange: HttpResponse, checked: str, sender: Sender, windows: ThreadingWindows, now: float
) -> Answer:
    """Read a state check that asked for ``checked``; ``now`` is by the platform's clock."""
    body = exchange.body
    if body is None or exchange.status // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
        return not_taken(exchange)
    return Answer(
        exchange.status,
        from_platform=True,
        conversation=conversation(body, checked, sender, windows, now),
        correlation_id=correlation(exchange),
    )


def read_sent(step: Step, exchange: HttpResponse) -> Answer:
    """Read who took a message; without both ids it is in doubt whether one was taken."""
    body = exchange.body
    if body is None or exchange.status // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
        may_be_open = step is Step.OPEN and exchange.status in (400, 409)
        return not_taken(exchange, send_hint if may_be_open else no_hint)
    message, inside = text(body, "id"), text(body, "conversationId")
    return Answer(
        exchange.status,
        from_platform=True,
        message_id=message if inside is not None else None,
        conversation_id=inside if message is not None else None,
        correlation_id=correlation(exchange),
    )


def not_taken(exchange: HttpResponse, hint: Callable[[Body, str], Hint] = no_hint) -> Answer:
    """Read an answer that is no success, or nothing that can be read."""
    if exchange.body is None:
        return Answer(exchange.status, correlation_id=correlation(exchange))
    return parse_refusal(exchange, exchange.body, hint, GENESYS_PAGES)


def conversation(
    body: Body, checked: str, sender: Sender, windows: ThreadingWindows, now: float
) -> Conversation | None:
    """Read a conversation; None where it is not the one that was asked for."""
    participants = listed(body, "participants")
    if text(body, "id") != checked or not isinstance(body.get("participants"), list):
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


def latest_customer(participants: Sequence[object]) -> object | None:
    """Return the customer who came last: one that is resumed has the customer again."""
    customers = [each for each in participants if text(each, "purpose") == CUSTOMER]
    return max(enumerate(customers), key=_coming, default=(0, None))[1]


def person(customer: object) -> str | None:
    """Return the external contact id of a participant."""
    return text(customer.get("externalContact"), "id") if isinstance(customer, dict) else None


def address(participant: object, key: str) -> str | None:
    """Return one of a participant's addresses, in the form that the platform itself uses."""
    told = participant.get(key) if isinstance(participant, dict) else None
    return text(told, "addressNormalized") or text(told, "addressRaw")


def messages(participants: Sequence[object], indexed_until: float) -> tuple[PastMessage, ...]:
    """Return the customer's messages, and those that an agentless send may have made.

    There are no texts in them. Those until ``indexed_until`` are shown by analytics, too.
    """
    found: dict[str, PastMessage] = {}
    for participant in participants:
        for each in _messages(participant, indexed_until):
            found.setdefault(each.id, each)
    return tuple(found.values())


def _messages(participant: object, indexed_until: float) -> Iterator[PastMessage]:
    purpose = text(participant, "purpose")
    if purpose in FOREIGN_PURPOSES:
        return
    for each in listed(participant, "messages"):
        id_, at = text(each, "messageId"), moment(each, "messageTime")
        if id_ is None or at is None:
            continue
        outbound = purpose != CUSTOMER and text(each, "messageStatus") != "received"
        yield PastMessage(id_, outbound, at, None, indexed=at <= indexed_until)


def _coming(numbered: tuple[int, object]) -> tuple[float, int]:
    number, customer = numbered
    came = moment(customer, "connectedTime") or moment(customer, "startTime")
    return came if came is not None else float("-inf"), number


def _state(
    customer: object,
    participants: Sequence[object],
    sender: Sender,
    windows: ThreadingWindows,
    now: float,
) -> tuple[State, bool]:
    told = text(customer, "state")
    if told in LEFT_STATES:
        messenger = text(customer, "type") or sender.messenger
        return windows.state(messenger, moment(customer, "endTime"), now), False
    talking = {
        text(each, "state") for each in participants if text(each, "purpose") in ENGAGED_PURPOSES
    } - LEFT_STATES
    if told not in PRESENT_STATES or not talking <= PRESENT_STATES:
        return State.UNKNOWN, False
    return State.OPEN, "connected" in talking


def _target(customer: object, sender: Sender) -> Target | None:
    """Return where the customer is reached; in web messaging no address is used."""
    if not needs_address(sender.messenger):
        return None
    for key in ("fromAddress", "toAddress"):  # whoever wrote first is in "from"
        found = address(customer, key)
        if found is not None and found != sender.from_address:
            return Target(found, is_guest_id=False)
    return None
