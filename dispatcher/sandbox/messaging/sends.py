"""The sends of the dialect ``messaging``: notify, open, and the call that users try first."""

from collections.abc import Mapping
from typing import NamedTuple

from dispatcher.sandbox.conversation_kinds import SendVerdict
from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import body_object, text_at
from dispatcher.sandbox.world.effect_log import Effect
from dispatcher.sandbox.world.world import ConversationView, SendTarget

MAX_TEXT = 2000
"""Characters in a message (platform contract)."""

_MOVED = "/api/v2/conversations/moved"
_CONFLICTS = frozenset(
    {
        SendVerdict.NOT_ACTIVE,
        SendVerdict.PREVIOUS_OPEN,
        SendVerdict.NOT_ENDED,
        SendVerdict.IDENTITY,
        SendVerdict.LOOP,
    }
)
_MESSAGES = {
    SendVerdict.CHANNEL: "Channel does not support proactive initiation",
    SendVerdict.TARGET: "Invalid recipient",
}


class _OpenRequest(NamedTuple):
    """A well-formed open request."""

    text: str
    target: SendTarget
    external_contact_id: str | None
    previous_id: str | None


class SendEndpoints:
    """Answers sends and applies their effects."""

    def __init__(self, context: DialectContext) -> None:
        self._context = context

    def notify(self, call: Call) -> Response:
        """Send into a session that is still open."""
        refusal = self._scope_refusal(call)
        return refusal or self._notify(call, body_object(call), call.conversation_id)

    def _notify(self, call: Call, body: Mapping[str, object], conversation_id: str) -> Response:
        text = _valid_text(body)
        if text is None:
            return _bad_text(call)
        verdict, view = self._context.world.try_notify(conversation_id, call.now)
        if verdict is not SendVerdict.ACCEPTED or view is None:
            return self._refuse(call, verdict, view)
        message_id = self._context.record(
            Effect(
                "notified",
                conversation_id,
                view.previous,
                view.external_contact_id,
                view.guest,
                text,
                call.wall,
            )
        )
        return response(202, {"id": message_id, "conversationId": conversation_id})

    def open(self, call: Call) -> Response:
        """Start a new conversation, linked to its previous one if the request names one."""
        refusal = self._scope_refusal(call)
        if refusal is not None:
            return refusal
        request = _open_request(call)
        if isinstance(request, Response):
            return request
        new_id = self._new_conversation(request, call.now)
        if isinstance(new_id, SendVerdict):
            return self._refuse(call, new_id, None)
        self._record_open(call, request, new_id)
        body = {
            "id": new_id,
            "state": "active",
            "externalContactId": request.external_contact_id,
            "previousConversationId": request.previous_id,
        }
        return response(201, body)

    def _new_conversation(self, request: _OpenRequest, now: float) -> str | SendVerdict:
        """Return the id of the new conversation, or why there is none."""
        world, external = self._context.world, request.external_contact_id
        if request.previous_id is None:
            return world.open_unlinked(external, request.target)
        verdict = world.try_link(request.previous_id, external, request.target, now)
        if verdict is not SendVerdict.ACCEPTED:
            return verdict
        return world.open_linked(request.previous_id)

    def _record_open(self, call: Call, request: _OpenRequest, new_id: str) -> None:
        self._context.record(
            Effect(
                "unlinked" if request.previous_id is None else "linked",
                new_id,
                request.previous_id,
                request.external_contact_id,
                request.target.guest or request.target.address,
                request.text,
                call.wall,
            )
        )

    def message(self, call: Call) -> Response:
        """Answer the call that users try first: 409 for every session that is not open."""
        refusal = self._scope_refusal(call)
        if refusal is not None:
            return refusal
        body = body_object(call)
        previous_id = text_at(body, "previousConversationId") or ""
        view = self._context.world.look(previous_id, call.now)
        if view is None or not view.is_open:
            return error_responses.conflict(call.correlation, SendVerdict.CLOSED)
        message = body.get("message", body)
        return self._notify(call, message if isinstance(message, Mapping) else {}, previous_id)

    def _scope_refusal(self, call: Call) -> Response | None:
        if call.token is not None and call.token.can_write:
            denied = self._context.grants.denied
            return None if denied == "no" else error_responses.denied(call.correlation, denied)
        refusal = error_responses.forbidden(call.correlation, "scope_forbidden")
        return self._context.mask_refusal(call, refusal)

    def _refuse(self, call: Call, verdict: SendVerdict, view: ConversationView | None) -> Response:
        if verdict in _CONFLICTS:
            return error_responses.conflict(call.correlation, verdict)
        if verdict is SendVerdict.GONE:
            return error_responses.not_found(call.correlation, "Conversation")
        if verdict is SendVerdict.CONTACT_FORBIDDEN:
            denied = self._context.grants.contact_denial
            if denied != "no":
                return error_responses.denied(call.correlation, denied)
            return error_responses.forbidden(call.correlation, verdict)
        if verdict is SendVerdict.REDIRECTED:
            return error_responses.redirect(307, _MOVED, verdict)
        if verdict is SendVerdict.CLOSED:
            message = "Cannot send notification to closed conversation"
            address = None if view is None else view.address
            more = {"from": None if address is None else {"address": address}}
            return error_responses.bad_request(call.correlation, message, verdict, more)
        message = _MESSAGES.get(verdict, "Invalid text")
        return error_responses.bad_request(call.correlation, message, verdict)


def _open_request(call: Call) -> _OpenRequest | Response:
    body = body_object(call)
    message, to = body.get("message"), body.get("to")
    text = _valid_text(message) if isinstance(message, dict) else None
    if text is None:
        return _bad_text(call)
    target = SendTarget(None, None)
    if isinstance(to, dict) and to.get("type") == "guest":
        target = SendTarget(text_at(to, "id"), text_at(to, "address"))
    if target == (None, None):
        return error_responses.bad_request(
            call.correlation, "Invalid recipient", SendVerdict.TARGET
        )
    external, previous = text_at(body, "externalContactId"), text_at(body, "previousConversationId")
    return _OpenRequest(text, target, external, previous)


def _valid_text(message: Mapping[str, object]) -> str | None:
    text = text_at(message, "text")
    return text if text is not None and len(text) <= MAX_TEXT else None


def _bad_text(call: Call) -> Response:
    message = f"Message text must have 1 to {MAX_TEXT} characters"
    return error_responses.bad_request(call.correlation, message, "text")
