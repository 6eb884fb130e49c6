"""The `messaging` dialect: its paths, bodies and words, turned into the domain's answers."""

from collections.abc import Awaitable, Mapping, Sequence

import orjson

from dispatcher.domain.answer import Answer, Hint, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.status import Step
from dispatcher.platforms.api_client import ApiClient
from dispatcher.platforms.http import HttpClient, HttpResponse
from dispatcher.platforms.missing_grants import MESSAGING_PAGES
from dispatcher.platforms.response_parsing import (
    Body,
    correlation,
    listed,
    moment,
    parse_refusal,
    path_part,
    text,
)
from dispatcher.platforms.token import TokenManager
from dispatcher.ports import Clock, LookBackQuery, Reply, TokenGrants

PATH = "/api/v2/conversations/messaging"
LOOK_BACK_PATH = "/api/v2/analytics/conversations/details/query"
TOKEN_PATH = "/api/v2/oauth/token"  # noqa: S105 - a path, not a secret
CLOSED_WORDS = "closed conversation"
"""Of the 400 that a notification into a closed session gets (source: platform contract)."""
CHANNEL_WORDS = "proactive initiation"
"""Of the 400 of a channel without proactive messages (source: platform contract)."""

STATES = {
    "active": State.OPEN,
    "ringing": State.OPEN,
    "closed": State.CLOSED,
    "ended": State.ENDED,
}


class MessagingPlatform:
    """The platform in its `messaging` dialect."""

    def __init__(self, http: HttpClient, tokens: TokenManager, base_url: str, clock: Clock) -> None:
        self._tokens = tokens
        self._caller = ApiClient(http, tokens, base_url, clock)

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check`."""
        target = f"{PATH}/{path_part(conversation_id)}"
        return self._call(Step.CHECK, "GET", target, None, conversation_id)

    def check_many(self, conversation_ids: Sequence[str]) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check_many`.

        Analytics do not show the guest that a new conversation needs, so that they tell enough
        of open sessions alone.
        """
        body = {"conversationIds": list(conversation_ids)}
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

    def look_back(self, asked: Sequence[LookBackQuery]) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.look_back`."""
        lists: dict[str, list[str]] = {}
        for each in asked:
            name = "previousConversationIds" if each.continued else "conversationIds"
            lists.setdefault(name, []).append(each.conversation_id)
        body = {name: list(dict.fromkeys(ids)) for name, ids in lists.items()}
        return self._call(Step.LOOK_BACK, "POST", LOOK_BACK_PATH, orjson.dumps(body))

    async def renew(self, number: int) -> TokenGrants:
        """See `dispatcher.ports.Platform.renew`."""
        return await self._tokens.renew(number)

    async def verify(self) -> TokenGrants:
        """See `dispatcher.ports.Platform.verify`."""
        return await self._tokens.verify()

    async def _call(
        self, step: Step, method: str, target: str, data: bytes | None, checked: str = ""
    ) -> Reply:
        return await self._caller.call(
            method, target, data, lambda exchange: read_answer(step, exchange, checked)
        )


def read_answer(step: Step, exchange: HttpResponse, checked: str = "") -> Result:
    """Turn an exchange into an answer; ``checked`` is the id that a state check asked for."""
    body = exchange.body
    found = correlation(exchange)
    if body is None:
        return Answer(exchange.status, correlation_id=found)
    if exchange.status // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
        return parse_refusal(exchange, body, _hint, MESSAGING_PAGES)
    if step is Step.LOOK_BACK:
        return Answer(
            exchange.status,
            from_platform=True,
            past_conversations=_history(body),
            correlation_id=found,
        )
    if step is Step.CHECK_MANY:
        return Answer(
            exchange.status,
            from_platform=True,
            conversations=_open_ones(body),
            correlation_id=found,
        )
    if step is Step.CHECK:
        return Answer(
            exchange.status,
            from_platform=True,
            conversation=_conversation(body, checked),
            correlation_id=found,
        )
    return _accepted(exchange.status, body, found)


def _accepted(status: int, body: Mapping[str, object], found: str) -> Answer:
    """Read who took the message: a notification names both ids, a new conversation its own.

    Without a readable ``id`` there is neither: whether a message was taken is in doubt.
    """
    own = text(body, "id")
    inside = text(body, "conversationId")
    return Answer(
        status,
        from_platform=True,
        message_id=own if inside is not None else None,
        conversation_id=None if own is None else inside or own,
        correlation_id=found,
    )


def _hint(_: Body, words: str) -> Hint:
    if CLOSED_WORDS in words:
        return Hint.CLOSED
    return Hint.CHANNEL if CHANNEL_WORDS in words else Hint.NONE


def _conversation(body: Mapping[str, object], checked: str) -> Conversation | None:
    """Read a state check's body; None where it is not about the conversation asked for."""
    state = text(body, "state")
    if state is None or text(body, "id") != checked:
        return None
    channel = body.get("channel")
    proactive = channel.get("proactive") is not False if isinstance(channel, dict) else True
    return Conversation(
        id=checked,
        state=STATES.get(state, State.UNKNOWN),
        external_contact_id=text(body, "externalContactId"),
        target=_target(body),
        proactive=proactive,
    )


def _history(body: Mapping[str, object]) -> tuple[PastConversation, ...] | None:
    """Read a look back; None where it is not one. What is unreadable in it is left out."""
    conversations = body.get("conversations")
    if not isinstance(conversations, list):
        return None
    return tuple(
        PastConversation(
            id=id_,
            previous=text(each, "previousConversationId"),
            external_contact_id=text(each, "externalContactId"),
            messages=_messages(each),
        )
        for each in conversations
        if (id_ := text(each, "conversationId")) is not None
    )


def _open_ones(body: Mapping[str, object]) -> tuple[Conversation, ...] | None:
    """Read the open sessions that analytics record; None where the answer has no list."""
    if not isinstance(body.get("conversations"), list):
        return None
    return tuple(
        Conversation(id_, State.OPEN, text(each, "externalContactId"))
        for each in listed(body, "conversations")
        if (id_ := text(each, "conversationId")) is not None
        and STATES.get(text(each, "state") or "") is State.OPEN
    )


def _messages(conversation: Mapping[str, object]) -> tuple[PastMessage, ...]:
    found = (_message(each) for each in listed(conversation, "messages"))
    return tuple(each for each in found if each is not None)


def _message(each: object) -> PastMessage | None:
    id_, at, said = text(each, "id"), moment(each, "time"), text(each, "text")
    if id_ is None or at is None or said is None:
        return None
    return PastMessage(id_, text(each, "direction") == "outbound", at, said)


def _target(body: Mapping[str, object]) -> Target | None:
    guest = text(body.get("guest"), "id")
    if guest is not None:
        return Target(guest, is_guest_id=True)
    address = text(body.get("from"), "address")
    return None if address is None else Target(address, is_guest_id=False)
