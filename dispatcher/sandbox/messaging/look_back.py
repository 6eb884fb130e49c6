"""Looking back in the dialect ``messaging``: what analytics shows, each message after its lag."""

from collections.abc import Iterable

import orjson

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.world.ids import NEW
from dispatcher.sandbox.world.timestamps import Times, iso

MAX_IDS = 100
"""Ids in one query (platform contract)."""


class LookBackEndpoint:
    """Answers ``POST /api/v2/analytics/conversations/details/query``."""

    def __init__(self, estate: DialectContext, times: Times) -> None:
        self._estate = estate
        self._times = times

    def query(self, call: Call) -> Response:
        """Return the conversations that are asked for, and what continues the previous ones."""
        if call.token is None or not call.token.can_read:
            return error_responses.forbidden(call.correlation, "read_scope")
        asked = _asked(call)
        if asked is None:
            message = f"Give conversationIds or previousConversationIds, at most {MAX_IDS} ids"
            return error_responses.bad_request(call.correlation, message, "query")
        ids, previous_ids = asked
        history = self._estate.history
        continuing = [new for one in previous_ids for new in history.continuing(one, call.wall)]
        return response(200, {"conversations": self._found([*ids, *continuing], call)})

    def _found(self, ids: Iterable[str], call: Call) -> list[dict[str, object]]:
        found = (self._conversation(one, call) for one in dict.fromkeys(ids))
        return [conversation for conversation in found if conversation is not None]

    def _conversation(self, conversation_id: str, call: Call) -> dict[str, object] | None:
        view = self._estate.world.look(conversation_id, call.now)
        messages = self._messages(conversation_id, call)
        if view is None or (conversation_id.startswith(NEW) and not messages):
            return None
        return {
            "conversationId": conversation_id,
            "previousConversationId": view.previous,
            "externalContactId": view.external_contact_id,
            "state": view.state,
            "startTime": self._times.start(view),
            "endTime": self._times.end(view),
            "messages": messages,
        }

    def _messages(self, conversation_id: str, call: Call) -> list[dict[str, str]]:
        return [
            {
                "id": message.message_id,
                "direction": "outbound",
                "time": iso(message.time),
                "text": message.text,
            }
            for message in self._estate.history.messages(conversation_id, call.wall)
        ]


def _asked(call: Call) -> tuple[list[str], list[str]] | None:
    try:
        body = orjson.loads(call.request.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    ids, previous_ids = body.get("conversationIds", []), body.get("previousConversationIds", [])
    if not (_all_texts(ids) and _all_texts(previous_ids)):
        return None
    return (ids, previous_ids) if 0 < len(ids) + len(previous_ids) <= MAX_IDS else None


def _all_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
