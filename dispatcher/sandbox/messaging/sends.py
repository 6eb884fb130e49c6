"""The sends of the dialect ``messaging``: notify, open, and the call that users try first."""

from collections.abc import Mapping
from typing import NamedTuple

from dispatcher.sandbox.conversation_kinds import Verdict
from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import json_of, text_of
from dispatcher.sandbox.world.effect_log import Effect
from dispatcher.sandbox.world.world import ConversationView, SendTarget

MAX_TEXT = 2000
"""Characters in a message (platform contract)."""

_CLOSED = "Cannot send notification to closed conversation"
_CHANNEL = "Channel does not support proactive initiation"
_ELSEWHERE = "/api/v2/conversations/moved"
_CONFLICTS = frozenset(
    {
        Verdict.NOT_ACTIVE,
        Verdict.PREVIOUS_OPEN,
        Verdict.NOT_ENDED,
        Verdict.IDENTITY,
        Verdict.LOOP,
    }
)


class _Opening(NamedTuple):
    """A well-formed open request."""

    text: str
    target: SendTarget
    external_contact_id: str | None
    previous_id: str | None


class Sends:
    """Answers sends, and lets them take effect."""

    def __init__(self, estate: DialectContext) -> None:
        self._estate = estate

    def notify(self, call: Call) -> Response:
        """Send into a session that is still open."""
        return self._scope_refusal(call) or self._notify(call, json_of(call), call.conversation_id)

    def _notify(self, call: Call, body: Mapping[str, object], conversation_id: str) -> Response:
        text = body.get("text")
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            return _bad_text(call)
        verdict, view = self._estate.world.try_notify(conversation_id, call.now)
        if verdict is not Verdict.TAKEN or view is None:
            return self._turned_down(call, verdict, view)
        message_id = self._estate.effect(
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
        """Start a new conversation, linked to the one that it names as its previous."""
        refused = self._scope_refusal(call)
        if refused is not None:
            return refused
        opening = _opening(call)
        if isinstance(opening, Response):
            return opening
        if opening.previous_id is not None:
            verdict = self._estate.world.try_link(
                opening.previous_id, opening.external_contact_id, opening.target, call.now
            )
            if verdict is not Verdict.TAKEN:
                return self._turned_down(call, verdict, None)
        return self._opened(call, opening)

    def _opened(self, call: Call, opening: _Opening) -> Response:
        world = self._estate.world
        if opening.previous_id is None:
            new_id = world.open_unlinked(opening.external_contact_id, opening.target)
        else:
            new_id = world.open_linked(opening.previous_id)
        self._estate.effect(
            Effect(
                "unlinked" if opening.previous_id is None else "linked",
                new_id,
                opening.previous_id,
                opening.external_contact_id,
                opening.target.guest or opening.target.address,
                opening.text,
                call.wall,
            )
        )
        body = {
            "id": new_id,
            "state": "active",
            "externalContactId": opening.external_contact_id,
            "previousConversationId": opening.previous_id,
        }
        return response(201, body)

    def message(self, call: Call) -> Response:
        """Answer the call that users try first: 409 for every session that is not open."""
        refused = self._scope_refusal(call)
        if refused is not None:
            return refused
        body = json_of(call)
        previous_id = text_of(body, "previousConversationId") or ""
        view = self._estate.world.look(previous_id, call.now)
        if view is None or not view.is_open:
            return error_responses.conflict(call.correlation, Verdict.CLOSED)
        message = body.get("message", body)
        return self._notify(call, message if isinstance(message, Mapping) else {}, previous_id)

    def _turned_down(self, call: Call, verdict: Verdict, view: ConversationView | None) -> Response:
        lack = self._estate.grants.contact_denial
        if verdict is Verdict.CONTACT_FORBIDDEN and lack != "no":
            return error_responses.denied(call.correlation, lack)
        return _refused(call, verdict, view)

    def _scope_refusal(self, call: Call) -> Response | None:
        grants = self._estate.grants
        if call.token is not None and call.token.can_write:
            lack = grants.denied
            return None if lack == "no" else error_responses.denied(call.correlation, lack)
        if grants.unauthorized:
            return error_responses.unauthorized(call.correlation, "scope_unauthorized")
        if grants.mask == "all" or (grants.mask == "open" and call.endpoint != "notify"):
            return error_responses.conflict(call.correlation, "scope_masked")
        return error_responses.forbidden(call.correlation, "scope_forbidden")


def _refused(call: Call, verdict: Verdict, view: ConversationView | None) -> Response:
    if verdict in _CONFLICTS:
        return error_responses.conflict(call.correlation, verdict)
    if verdict is Verdict.CLOSED:
        address = None if view is None else view.address
        sender = None if address is None else {"address": address}
        return error_responses.bad_request(call.correlation, _CLOSED, verdict, {"from": sender})
    if verdict is Verdict.GONE:
        return error_responses.not_found(call.correlation, "Conversation")
    if verdict is Verdict.CONTACT_FORBIDDEN:
        return error_responses.forbidden(call.correlation, verdict)
    if verdict is Verdict.REDIRECTED:
        return error_responses.redirect(307, _ELSEWHERE, verdict)
    message = _MESSAGES.get(verdict, "Invalid text")
    return error_responses.bad_request(call.correlation, message, verdict)


_MESSAGES = {Verdict.CHANNEL: _CHANNEL, Verdict.TARGET: "Invalid recipient"}


def _opening(call: Call) -> _Opening | Response:
    body = json_of(call)
    message, to = body.get("message"), body.get("to")
    text = message.get("text") if isinstance(message, dict) else None
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
        return _bad_text(call)
    if not isinstance(to, dict) or to.get("type") != "guest":
        return error_responses.bad_request(call.correlation, "Invalid recipient", Verdict.TARGET)
    target = SendTarget(text_of(to, "id"), text_of(to, "address"))
    if target.guest is None and target.address is None:
        return error_responses.bad_request(call.correlation, "Invalid recipient", Verdict.TARGET)
    external, previous = text_of(body, "externalContactId"), text_of(body, "previousConversationId")
    return _Opening(text, target, external, previous)


def _bad_text(call: Call) -> Response:
    message = f"Message text must have 1 to {MAX_TEXT} characters"
    return error_responses.bad_request(call.correlation, message, "text")
