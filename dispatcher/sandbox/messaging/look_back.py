"""Looking back in the dialect ``messaging``: analytics show each message after its lag."""

from typing import TypeGuard

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import body_object
from dispatcher.sandbox.world.ids import NEW
from dispatcher.sandbox.world.timestamps import Times, iso
from dispatcher.sandbox.world.world import ConversationView

MAX_IDS = 100
"""Ids in one query (platform contract)."""
ANSWER = "Thank you"
"""What guests answer."""


class LookBackEndpoint:
    """Answers ``POST /api/v2/analytics/conversations/details/query``."""

    def __init__(self, context: DialectContext, times: Times) -> None:
        self._context = context
        self._times = times

    def query(self, call: Call) -> Response:
        """Return the requested conversations, and those that continue the previous ones."""
        if call.token is None or not call.token.can_read:
            return error_responses.forbidden(call.correlation, "read_scope")
        body = body_object(call)
        ids, previous_ids = body.get("conversationIds", []), body.get("previousConversationIds", [])
        if not (
            _is_texts(ids)
            and _is_texts(previous_ids)
            and 0 < len(ids) + len(previous_ids) <= MAX_IDS
        ):
            message = f"Give conversationIds or previousConversationIds, at most {MAX_IDS} ids"
            return error_responses.bad_request(call.correlation, message, "query")
        archive = self._context.archive
        continuing = (new for old in previous_ids for new in archive.continuing(old, call.wall))
        found = (self._conversation(key, call) for key in dict.fromkeys([*ids, *continuing]))
        return response(200, {"conversations": [item for item in found if item is not None]})

    def _conversation(self, conversation_id: str, call: Call) -> dict[str, object] | None:
        view = self._view(conversation_id, call)
        messages = self._messages(conversation_id, call)
        if view is None or (conversation_id.startswith(NEW) and not messages):
            return None
        return {
            "conversationId": conversation_id,
            "previousConversationId": view.previous,
            "externalContactId": view.external_contact_id,
            "state": view.state,
            "startTime": self._times.start(view),
            "endTime": self._ended(conversation_id, view, call),
            "messages": messages,
        }

    def _view(self, conversation_id: str, call: Call) -> ConversationView | None:
        """Return a conversation as analytics show it: an end by itself is shown late, too."""
        world = self._context.world
        view = world.look(conversation_id, call.now, checks=1)
        ends = None if view is None else self._ends_at(conversation_id, view)
        lag = self._context.archive.lag(f"end-{conversation_id}")
        if view is None or ends is None or view.state != "ended" or ends + lag <= call.now:
            return view
        return view._replace(state="closed")

    def _ended(self, conversation_id: str, view: ConversationView, call: Call) -> str | None:
        """Return when a conversation ended: during this run, if it ended by itself."""
        ends = self._ends_at(conversation_id, view)
        if view.state != "ended" or ends is None:
            return self._times.end(view)
        return iso(ends + call.wall - call.now)

    def _ends_at(self, conversation_id: str, view: ConversationView) -> float | None:
        return self._context.world.ends_at(conversation_id) if view.kind.moves else None

    def _messages(self, conversation_id: str, call: Call) -> list[dict[str, str]]:
        sent = self._context.archive.messages(conversation_id, call.wall)
        answers = self._context.traffic.shown_answers(conversation_id, call.wall)
        return [
            *(_message(item.message_id, "outbound", item.time, item.text) for item in sent),
            *(_message(item.message_id, "inbound", item.time, ANSWER) for item in answers),
        ]


def _message(message_id: str, direction: str, time: float, text: str) -> dict[str, str]:
    return {"id": message_id, "direction": direction, "time": iso(time), "text": text}


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
