"""The `messaging` dialect: its paths, bodies and words, turned into the domain's answers."""

import re
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import orjson
from yarl import URL

from dispatcher.domain.answer import Answer, Hint, NoAnswer, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.history import PastConversation, PastMessage
from dispatcher.domain.status import Step
from dispatcher.platforms.http import (
    JSON_TYPE,
    Exchange,
    HttpClient,
    PlatformClock,
    number,
    reading,
    sound,
)
from dispatcher.platforms.lacks import MESSAGING_PAGES, lacking
from dispatcher.platforms.token import Token, TokenKeeper
from dispatcher.ports import Asked, Authority, Clock, Reply, TokenUse

PATH = "/api/v2/conversations/messaging"
LOOK_BACK_PATH = "/api/v2/analytics/conversations/details/query"
TOKEN_PATH = "/api/v2/oauth/token"  # noqa: S105 - a path, not a secret
CLOSED_WORDS = "closed conversation"
"""Of the 400 that a notification into a closed session gets (source: platform contract)."""
CHANNEL_WORDS = "proactive initiation"
"""Of the 400 of a channel without proactive messages (source: platform contract)."""
RATE_KEYS = frozenset({"", "token.rate.per.minute", "client.rate.per.minute"})
"""Values of ``limit.key`` that mean the whole token's rate; any other one is an endpoint's."""

STATES = {
    "active": State.OPEN,
    "ringing": State.OPEN,
    "closed": State.CLOSED,
    "ended": State.ENDED,
}
_SAFE_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._~:@=+-]+")


class MessagingPlatform:
    """The platform in its `messaging` dialect."""

    def __init__(self, http: HttpClient, tokens: TokenKeeper, base_url: str, clock: Clock) -> None:
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._platform_clock = PlatformClock(clock)
        self._host = http.host(URL(base_url))

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check`."""
        target = f"{PATH}/{_path_part(conversation_id)}"
        return self._call(Step.CHECK, "GET", target, None, conversation_id)

    def notify(self, contact: Contact, decision: Notify) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.notify`."""
        target = f"{PATH}/{_path_part(decision.conversation_id)}/notifications"
        return self._call(Step.NOTIFY, "POST", target, orjson.dumps({"text": contact.text}))

    def open(self, contact: Contact, decision: Open) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.open`."""
        name = "id" if decision.target.is_guest_id else "address"
        body: dict[str, object] = {
            "to": {name: decision.target.value, "type": "guest"},
            "externalContactId": decision.external_contact_id,
            "message": {"text": contact.text},
        }
        if decision.previous is not None:
            body["previousConversationId"] = decision.previous
        if contact.subject:
            body["subject"] = contact.subject
        return self._call(Step.OPEN, "POST", PATH, orjson.dumps(body))

    def look_back(self, asked: Sequence[Asked]) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.look_back`."""
        lists: dict[str, list[str]] = {}
        for each in asked:
            name = "previousConversationIds" if each.continued else "conversationIds"
            lists.setdefault(name, []).append(each.conversation_id)
        body = {name: list(dict.fromkeys(ids)) for name, ids in lists.items()}
        return self._call(Step.LOOK_BACK, "POST", LOOK_BACK_PATH, orjson.dumps(body))

    async def renew(self, number: int) -> Authority:
        """See `dispatcher.ports.Platform.renew`."""
        return await self._tokens.renew(number)

    async def verify(self) -> Authority:
        """See `dispatcher.ports.Platform.verify`."""
        return await self._tokens.verify()

    async def _call(
        self, step: Step, method: str, target: str, data: bytes | None, checked: str = ""
    ) -> Reply:
        token = self._tokens.fresh()
        use = TokenUse(token.number, self._clock.monotonic() - token.issued)
        result, seconds = await self._http.request(
            self._host, method, target, _headers(token, data), data
        )
        if isinstance(result, NoAnswer):
            return Reply(result, seconds, use)
        return Reply(
            read_answer(step, result, checked),
            seconds,
            use,
            reading(result.headers),
            self._platform_clock.ahead(result.headers),
        )


def read_answer(step: Step, exchange: Exchange, checked: str = "") -> Result:
    """Turn an exchange into an answer; ``checked`` is the id that a state check asked for."""
    body = exchange.body
    correlation = sound(exchange.headers.get("ININ-Correlation-Id", ""))
    if body is None:
        return Answer(exchange.status, correlation_id=correlation)
    if exchange.status // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
        return _refusal(exchange, body, correlation)
    if step is Step.LOOK_BACK:
        return Answer(
            exchange.status,
            from_platform=True,
            history=_history(body),
            correlation_id=correlation,
        )
    if step is Step.CHECK:
        return Answer(
            exchange.status,
            from_platform=True,
            conversation=_conversation(body, checked),
            correlation_id=correlation,
        )
    return _accepted(exchange.status, body, correlation)


def _accepted(status: int, body: Mapping[str, object], correlation: str) -> Answer:
    """Read who took the message: a notification names both ids, a new conversation its own.

    Without a readable ``id`` there is neither: whether a message was taken is in doubt.
    """
    own = _text(body, "id")
    inside = _text(body, "conversationId")
    return Answer(
        status,
        from_platform=True,
        message_id=own if inside is not None else None,
        conversation_id=None if own is None else inside or own,
        correlation_id=correlation,
    )


def _headers(token: Token, data: bytes | None) -> dict[str, str]:
    if data is None:
        return token.headers
    return {**token.headers, "Content-Type": JSON_TYPE}


def _refusal(exchange: Exchange, body: Mapping[str, object], correlation: str) -> Answer:
    words = _text(body, "message") or ""
    limit = body.get("limit")
    key = _text(limit, "key") if isinstance(limit, dict) else None
    lacks = lacking(body, MESSAGING_PAGES) if exchange.status == 403 else ()  # noqa: PLR2004 - HTTP's Forbidden
    return Answer(
        exchange.status,
        from_platform="message" in body or "code" in body,
        hint=_hint(words),
        address=_text(body.get("from"), "address"),
        retry_after=number(exchange.headers.get("Retry-After")),
        limit_key=None if (key or "") in RATE_KEYS else key,
        words=words,
        correlation_id=correlation,
        lack=lacks[0].kind if lacks else None,
        lacking=lacks,
    )


def _hint(words: str) -> Hint:
    if CLOSED_WORDS in words:
        return Hint.CLOSED
    return Hint.CHANNEL if CHANNEL_WORDS in words else Hint.NONE


def _conversation(body: Mapping[str, object], checked: str) -> Conversation | None:
    """Read a state check's body; None where it is not about the conversation asked for."""
    state = _text(body, "state")
    if state is None or _text(body, "id") != checked:
        return None
    channel = body.get("channel")
    proactive = channel.get("proactive") is not False if isinstance(channel, dict) else True
    return Conversation(
        id=checked,
        state=STATES.get(state, State.UNKNOWN),
        external_contact_id=_text(body, "externalContactId"),
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
            previous=_text(each, "previousConversationId"),
            external_contact_id=_text(each, "externalContactId"),
            messages=_messages(each),
        )
        for each in conversations
        if (id_ := _text(each, "conversationId")) is not None
    )


def _messages(conversation: Mapping[str, object]) -> tuple[PastMessage, ...]:
    listed = conversation.get("messages")
    found = [_message(each) for each in listed] if isinstance(listed, list) else []
    return tuple(each for each in found if each is not None)


def _message(each: object) -> PastMessage | None:
    id_, at, text = _text(each, "id"), _text(each, "time"), _text(each, "text")
    if id_ is None or at is None or text is None:
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return PastMessage(id_, _text(each, "direction") == "outbound", moment.timestamp(), text)


def _target(body: Mapping[str, object]) -> Target | None:
    guest = _text(body.get("guest"), "id")
    if guest is not None:
        return Target(guest, is_guest_id=True)
    address = _text(body.get("from"), "address")
    return None if address is None else Target(address, is_guest_id=False)


def _text(value: object, key: str) -> str | None:
    found = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def _path_part(conversation_id: str) -> str:
    """Guard the path: an id is one part of it, whatever the source let through."""
    if not _SAFE_ID.fullmatch(conversation_id):
        raise ValueError("a conversation id with characters that a path cannot hold")
    return conversation_id
