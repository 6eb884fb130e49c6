"""The `messaging` dialect: makes its requests, and parses its responses."""

from collections.abc import Awaitable, Iterator, Sequence
from functools import partial

import orjson

from dispatcher.domain.answer import Answer, Hint
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.ids import canonical_id, same_id
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.status import Step
from dispatcher.platforms.api_client import ApiClient, OnOddValue
from dispatcher.platforms.http import HttpClient, HttpResponse
from dispatcher.platforms.missing_grants import MESSAGING_PAGES
from dispatcher.platforms.response_parsing import (
    Body,
    correlation,
    id_text,
    listed,
    moment,
    parse_refusal,
    path_part,
    text,
)
from dispatcher.platforms.token import TokenManager
from dispatcher.ports import Clock, LookBackQuery, Reply, TokenGrants, WatermarkQuery

PATH = "/api/v2/conversations/messaging"
LOOK_BACK_PATH = "/api/v2/analytics/conversations/details/query"
TOKEN_PATH = "/api/v2/oauth/token"  # noqa: S105 - a path, not a secret
CLOSED_WORDS = "closed conversation"
"""In the 400 to a notification into a closed session (source: platform contract)."""
CHANNEL_WORDS = "proactive initiation"
"""In the 400 of a channel without proactive messages (source: platform contract)."""
INBOUND, OUTBOUND = "inbound", "outbound"
"""The directions of a message in a look back."""

STATES = {
    "active": State.OPEN,
    "ringing": State.OPEN,
    "closed": State.CLOSED,
    "ended": State.ENDED,
}


class MessagingPlatform:
    """The platform in its `messaging` dialect."""

    def __init__(
        self,
        http: HttpClient,
        tokens: TokenManager,
        base_url: str,
        clock: Clock,
        on_odd_value: OnOddValue = lambda _name, _value: None,
    ) -> None:
        self._tokens = tokens
        self._api = ApiClient(http, tokens, base_url, clock, on_odd_value)

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check`."""
        target = f"{PATH}/{path_part(conversation_id)}"
        return self._call(Step.CHECK, "GET", target, None, conversation_id)

    def check_many(self, conversation_ids: Sequence[str]) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check_many`.

        Analytics show neither the guest nor the address nor the channel. So a new conversation
        goes to the row's address, and the platform refuses it if the channel does not permit it.
        """
        body = {"conversationIds": [canonical_id(id_) for id_ in conversation_ids]}
        return self._call(Step.CHECK_MANY, "POST", LOOK_BACK_PATH, orjson.dumps(body))

    def notify(self, contact: Contact, decision: Notify) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.notify`."""
        target = f"{PATH}/{path_part(decision.conversation_id)}/notifications"
        return self._call(Step.NOTIFY, "POST", target, orjson.dumps({"text": contact.text}))

    def open(self, contact: Contact, decision: Open) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.open`."""
        body: dict[str, object] = {"message": {"text": contact.text}}
        if decision.target is not None:
            name = "id" if decision.target.is_guest_id else "address"
            body["to"] = {name: decision.target.value, "type": "guest"}
        if decision.external_contact_id is not None:
            body["externalContactId"] = decision.external_contact_id
        if decision.previous is not None:
            body["previousConversationId"] = decision.previous
        if contact.subject:
            body["subject"] = contact.subject
        return self._call(Step.OPEN, "POST", PATH, orjson.dumps(body))

    def look_back(
        self,
        queries: Sequence[LookBackQuery],
        watermark: WatermarkQuery | None = None,  # noqa: ARG002 - records are found by ids alone
    ) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.look_back`."""
        lists: dict[str, list[str]] = {}
        for query in queries:
            name = "previousConversationIds" if query.continued else "conversationIds"
            lists.setdefault(name, []).append(canonical_id(query.conversation_id))
        body = {name: list(dict.fromkeys(ids)) for name, ids in lists.items()}
        return self._call(Step.LOOK_BACK, "POST", LOOK_BACK_PATH, orjson.dumps(body))

    async def renew(self, number: int) -> TokenGrants:
        """See `dispatcher.ports.Platform.renew`."""
        return await self._tokens.renew(number)

    async def verify(self) -> TokenGrants:
        """See `dispatcher.ports.Platform.verify`."""
        return await self._tokens.verify()

    def _call(
        self, step: Step, method: str, target: str, body: bytes | None, checked: str = ""
    ) -> Awaitable[Reply]:
        return self._api.call(
            method,
            target,
            body,
            lambda response: read_answer(step, response, checked),
            sends=step is Step.NOTIFY or step is Step.OPEN,
        )


def read_answer(step: Step, response: HttpResponse, checked: str = "") -> Answer:
    """Turn a response into an answer; ``checked`` is the conversation of a state check."""
    body = response.success_body
    if body is None:
        return parse_refusal(response, _hint, MESSAGING_PAGES)
    success = partial(
        Answer, response.status, from_platform=True, correlation_id=correlation(response)
    )
    match step:  # the usual steps first: an enum takes long to look a member up
        case Step.CHECK:
            return success(conversation=_conversation(body, checked))
        case Step.NOTIFY | Step.OPEN:
            # a notification has both ids, a new conversation its own; without an id it is in doubt
            own, inside = id_text(body, "id"), id_text(body, "conversationId")
            return success(
                message_id=own if inside is not None else None,
                conversation_id=None if own is None else inside or own,
            )
        case Step.LOOK_BACK:
            return success(past_conversations=_past_conversations(body))
        case Step.CHECK_MANY:
            return success(conversations=_recorded_conversations(body))


def _hint(_: Body, words: str) -> Hint:
    if CLOSED_WORDS in words:
        return Hint.CLOSED
    return Hint.CHANNEL if CHANNEL_WORDS in words else Hint.NONE


def _conversation(body: Body, checked: str) -> Conversation | None:
    """Parse a state check; None if it is not about the conversation ``checked``."""
    state = text(body, "state")
    if state is None or not same_id(text(body, "id"), checked):
        return None
    channel = body.get("channel")
    proactive = channel.get("proactive") is not False if isinstance(channel, dict) else True
    return Conversation(
        id=checked,
        state=STATES.get(state, State.UNKNOWN),
        external_contact_id=id_text(body, "externalContactId"),
        target=_target(body),
        proactive=proactive,
        address=text(body.get("from"), "address"),
    )


def _past_conversations(body: Body) -> tuple[PastConversation, ...] | None:
    """Parse a look back, without its unreadable parts; None if it has no list."""
    if not isinstance(body.get("conversations"), list):
        return None
    return tuple(
        PastConversation(
            id=id_,
            previous=id_text(row, "previousConversationId"),
            external_contact_id=id_text(row, "externalContactId"),
            messages=tuple(_messages(row)),
            unread=tuple(_unread(row)),
            started=moment(row, "startTime"),
            ended=_ended(row),
        )
        for row in listed(body, "conversations")
        if (id_ := id_text(row, "conversationId")) is not None
    )


def _ended(row: object) -> float | None:
    """Return when a conversation ended; None for an end that is only planned."""
    has_ended = STATES.get(text(row, "state") or "") is State.ENDED
    return moment(row, "endTime") if has_ended else None


def _recorded_conversations(body: Body) -> tuple[Conversation, ...] | None:
    """Parse the states that analytics have; None if the response has no list."""
    if not isinstance(body.get("conversations"), list):
        return None
    rows = map(_recorded, listed(body, "conversations"))
    return tuple(conversation for conversation in rows if conversation is not None)


def _recorded(row: object) -> Conversation | None:
    """Parse one record; None if it has no id or no state, or contradicts itself."""
    id_, shown = id_text(row, "conversationId"), text(row, "state")
    if id_ is None or shown is None:
        return None
    state = STATES.get(shown, State.UNKNOWN)
    if state is State.OPEN and text(row, "endTime") is not None:
        return None
    return Conversation(id_, state, id_text(row, "externalContactId"))


def _messages(conversation: object) -> Iterator[PastMessage]:
    for row in listed(conversation, "messages"):
        if (message := _message(row)) is not None:
            yield message


def _unread(conversation: object) -> Iterator[float | None]:
    """Yield the times of messages that cannot be read, and are not known to be inbound."""
    for row in listed(conversation, "messages"):
        if _message(row) is None and text(row, "direction") != INBOUND:
            yield moment(row, "time")


def _message(row: object) -> PastMessage | None:
    id_, at, content = id_text(row, "id"), moment(row, "time"), text(row, "text")
    direction = text(row, "direction")
    if id_ is None or at is None or content is None or direction not in (INBOUND, OUTBOUND):
        return None
    return PastMessage(id_, direction == OUTBOUND, at, content)


def _target(body: Body) -> Target | None:
    guest = text(body.get("guest"), "id")
    if guest is not None:
        return Target(guest, is_guest_id=True)
    address = text(body.get("from"), "address")
    return None if address is None else Target(address, is_guest_id=False)
