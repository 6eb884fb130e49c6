"""The operations of the dialect ``messaging``."""

from collections.abc import Mapping

from dispatcher.sandbox.messaging.look_back import MAX_IDS
from dispatcher.sandbox.messaging.sends import MAX_TEXT
from dispatcher.sandbox.openapi.bodies import ApiError, Token, TokenError, TokenRequest
from dispatcher.sandbox.openapi.messaging_bodies import (
    ConversationRecords,
    ConversationState,
    MessageRequest,
    MessageText,
    OpenedConversation,
    OpenRequest,
    RecordsQuery,
    SentMessage,
)
from dispatcher.sandbox.openapi.operation import DialectDescription, Operation, Play
from dispatcher.sandbox.scenario.value_types import READ_SCOPES, WRITE_SCOPES

_BASE = "/api/v2/conversations/messaging"
_TOKEN_PATH = "/api/v2/oauth/token"  # noqa: S105 - the path of the tokens
_READ_ONLY = {"token": {"granted": list(READ_SCOPES)}}
_WRITE_ONLY = {"token": {"granted": list(WRITE_SCOPES)}}
_MASKED = {"token": {"granted": list(READ_SCOPES), "mask": "all"}}
_UNAUTHORIZED = {"token": {"granted": list(READ_SCOPES), "unauthorized": True}}
_TEXT = "Hello Ada, do you still have a question?"
_LONG = "x" * (MAX_TEXT + 1)


def _opening(conversation_id: str, **changes: object) -> Mapping[str, object]:
    return {
        "to": {"id": f"g-{conversation_id}", "type": "guest"},
        "message": {"text": _TEXT},
        "externalContactId": f"x-{conversation_id}",
        "previousConversationId": conversation_id,
        **changes,
    }


def _message(conversation_id: str) -> Mapping[str, object]:
    return {"previousConversationId": conversation_id, "message": {"text": _TEXT}}


_SCOPE_PLAYS = (
    ("missing_scope", "the token has no write scope", _READ_ONLY),
    ("permission", "the permission to send is missing", {"token": {"deny": "permission"}}),
    ("division", "the division of the conversation is missing", {"token": {"deny": "division"}}),
    ("masked_scope", "the token has no write scope, and the platform masks it", _MASKED),
    ("hidden_scope", "the token has no write scope, and the platform answers so", _UNAUTHORIZED),
)

_TOKEN = Operation(
    endpoints=("token",),
    method="POST",
    path=_TOKEN_PATH,
    name="requestToken",
    tag="OAuth",
    summary="Request a token",
    description="Client credentials. Token requests do not count for the quota.",
    request=TokenRequest,
    answer=Token,
    error=TokenError,
    plays=(
        Play("token", "a token", body="grant_type=client_credentials"),
        Play("grant_type", "another grant type", body="grant_type=password"),
        Play("secret", "a wrong id or secret", body="grant_type=client_credentials", pair="a:b"),
    ),
)

_CHECK = Operation(
    endpoints=("check",),
    method="GET",
    path=_BASE + "/{conversationId}",
    name="readConversation",
    tag="Conversations",
    summary="Read the state of a conversation",
    description="The state check, before it is decided which send is right.",
    answer=ConversationState,
    error=ApiError,
    scopes=READ_SCOPES,
    plays=(
        Play("active", "an open session", ("active-1",)),
        Play("closed", "a session that is closed and has not ended", ("neverends-1",)),
        Play("ended", "a session that has ended", ("ended-1",)),
        Play("no_address", "the platform knows neither guest nor address", ("noaddress-1",)),
        Play("read_scope", "the token has no read scope", ("ended-1",), scenario=_WRITE_ONLY),
        Play("gone", "the conversation does not exist", ("gone-1",)),
    ),
)

_NOTIFY = Operation(
    endpoints=("notify",),
    method="POST",
    path=_BASE + "/{conversationId}/notifications",
    name="notify",
    tag="Messages",
    summary="Send into an open session",
    description="A session that is not open any more refuses it with 400.",
    request=MessageText,
    answer=SentMessage,
    error=ApiError,
    scopes=WRITE_SCOPES,
    plays=(
        Play("sent", "the message is accepted", ("active-1",), {"text": _TEXT}),
        Play("closed", "the session is closed", ("neverends-1",), {"text": _TEXT}),
        Play("text", "the text is empty or too long", ("active-1",), {"text": _LONG}),
        Play("refused", "the platform refuses this text", ("refused-1",), {"text": _TEXT}),
        Play("forbidden", "messages to this contact are not permitted",
             ("forbidden-1",), {"text": _TEXT}),
        Play("gone", "the conversation does not exist", ("gone-1",), {"text": _TEXT}),
        Play("not_active", "the session is not active", ("notactive-1",), {"text": _TEXT}),
        Play("moved", "a redirect", ("redirected-1",), {"text": _TEXT}),
        *(Play(name, why, ("active-1",), {"text": _TEXT}, scenario=scenario)
          for name, why, scenario in _SCOPE_PLAYS),
    ),
)  # fmt: skip

_OPEN = Operation(
    endpoints=("open",),
    method="POST",
    path=_BASE,
    name="openConversation",
    tag="Messages",
    summary="Open a conversation that continues another one",
    description=(
        "A link to a conversation that has not ended is refused with 409. A 409 has one body for "
        "four causes: the previous conversation is open; it is closed but has not ended; the "
        "external contact is missing or another one; the token lacks the write scope."
    ),
    request=OpenRequest,
    answer=OpenedConversation,
    error=ApiError,
    scopes=WRITE_SCOPES,
    plays=(
        Play("linked", "a conversation that continues the previous one", body=_opening("ended-1")),
        Play("unlinked", "a conversation without a previous one",
             body={"to": {"address": "a-ended-1", "type": "guest"}, "message": {"text": _TEXT}}),
        Play("channel", "the channel does not permit that the organisation writes first",
             body=_opening("channel-1")),
        Play("recipient", "the recipient is not the guest of the previous conversation",
             body=_opening("ended-1", to={"id": "g-somebody", "type": "guest"})),
        Play("text", "the text is empty or too long",
             body=_opening("ended-1", message={"text": _LONG})),
        Play("forbidden", "messages to this contact are not permitted",
             body=_opening("forbidden-1")),
        Play("gone", "the previous conversation does not exist", body=_opening("gone-1")),
        Play("previous_open", "the previous conversation is open", body=_opening("active-1")),
        Play("not_ended", "the previous conversation is closed but has not ended",
             body=_opening("neverends-1")),
        Play("identity", "the external contact is missing or another one",
             body=_opening("ended-1", externalContactId="x-somebody-else")),
        Play("loop", "every link to this conversation is refused", body=_opening("loop-1")),
        Play("moved", "a redirect", body=_opening("redirected-1")),
        *(Play(name, why, body=_opening("ended-1"), scenario=scenario)
          for name, why, scenario in _SCOPE_PLAYS),
    ),
)  # fmt: skip

_MESSAGES = Operation(
    endpoints=("messages",),
    method="POST",
    path=_BASE + "/messages",
    name="sendMessage",
    tag="Messages",
    summary="Send to the session of a conversation",
    description="The call that users try first: 409 for every session that is not open.",
    request=MessageRequest,
    answer=SentMessage,
    error=ApiError,
    scopes=WRITE_SCOPES,
    plays=(
        Play("sent", "the message is accepted", body=_message("active-1")),
        Play("text", "the text is empty or too long",
             body={**_message("active-1"), "message": {"text": ""}}),
        Play("refused", "the platform refuses this text", body=_message("stubborn-1")),
        Play("forbidden", "messages to this contact are not permitted",
             body=_message("forbidden-2")),
        Play("vanished", "the conversation does not exist any more", body=_message("vanished-1")),
        Play("closed", "the session is not open", body=_message("ended-1")),
        Play("moved", "a redirect", body=_message("redirected-2")),
        *(Play(name, why, body=_message("active-1"), scenario=scenario)
          for name, why, scenario in _SCOPE_PLAYS),
    ),
)  # fmt: skip

_ANALYTICS = Operation(
    endpoints=("analytics",),
    method="POST",
    path="/api/v2/analytics/conversations/details/query",
    name="queryConversations",
    tag="Analytics",
    summary="Read many conversations with their messages",
    description=(
        f"At most {MAX_IDS} ids in one request. Messages are shown after a delay; so this is also "
        "how a send without a clear answer is looked for."
    ),
    request=RecordsQuery,
    answer=ConversationRecords,
    error=ApiError,
    scopes=READ_SCOPES,
    plays=(
        Play("records", "the conversations that exist",
             body={"conversationIds": ["active-1", "ended-1", "gone-1"]}),
        Play("ids", "no id, or too many", body={"conversationIds": []}),
        Play("read_scope", "the token has no read scope", body={"conversationIds": ["ended-1"]},
             scenario=_WRITE_ONLY),
    ),
)  # fmt: skip

MESSAGING_API = DialectDescription(
    dialect="messaging",
    title="The dispatcher's sandbox, dialect messaging",
    text=(
        "A platform for web messaging on this machine. What a conversation does follows from the "
        "first word of its id: `active-1` is open, `ended-1` has ended, `neverends-1` is closed "
        "and never ends, `gone-1` does not exist. Answers with the status 302, 307 and 5xx come "
        "only if a scenario has them as a fault, except those of `redirected-1`."
    ),
    tags={
        "OAuth": "Tokens.",
        "Conversations": "The state of conversations.",
        "Messages": "Everything that a guest can read.",
        "Analytics": "What has happened, after a delay.",
    },
    parameters={"conversationId": "The id of the conversation; its first word is its kind."},
    token_path=_TOKEN_PATH,
    scopes={
        **dict.fromkeys(READ_SCOPES, "State checks and analytics; one of the two is enough."),
        **dict.fromkeys(WRITE_SCOPES, "Messages; one of the two is enough."),
    },
    operations=(_TOKEN, _CHECK, _NOTIFY, _OPEN, _MESSAGES, _ANALYTICS),
)
