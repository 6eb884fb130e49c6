"""The agentless messages of the dialect ``genesys``: to an open, an ended or a new conversation."""

from collections.abc import Mapping
from typing import NamedTuple

from dispatcher.sandbox.conversation_kinds import SendVerdict
from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys.refusals import missing_access, missing_division, out_of_reach
from dispatcher.sandbox.genesys.threading_window import Phase, ThreadingWindow
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import body_object, text_at
from dispatcher.sandbox.scenario.model import GenesysRules
from dispatcher.sandbox.world import ids
from dispatcher.sandbox.world.effect_log import Effect, EffectKind
from dispatcher.sandbox.world.timestamps import iso
from dispatcher.sandbox.world.world import ConversationView, World

_LIMITS = {"sms": 765, "whatsapp": 2000, "open": 2000, "webmessaging": 2000, "apple": 2000}
"""Characters in a message, by messenger (platform contract)."""
_BY_CONTACT = ("webmessaging", "sms", "open")
"""The messengers that accept an external contact as the recipient (the SDK's description)."""
_PERMISSION = "conversation:message:create"
_SCOPES = ("conversations",)
_PATH = "/api/v2/conversations/messages/agentless"
_ACTIVE_VERDICTS = frozenset({SendVerdict.PREVIOUS_OPEN, SendVerdict.NOT_ACTIVE, SendVerdict.LOOP})


class _SendRequest(NamedTuple):
    """A well-formed request."""

    text: str
    deployment: str
    messenger: str
    external_contact_id: str | None
    address: str | None
    root: str | None
    """The oldest conversation of the recipient; None if the platform does not know the person."""
    existing: bool


class AgentlessEndpoint:
    """Answers ``POST /api/v2/conversations/messages/agentless``."""

    def __init__(
        self, context: DialectContext, window: ThreadingWindow, rules: GenesysRules
    ) -> None:
        self._context = context
        self._window = window
        self._rules = rules

    def send(self, call: Call) -> Response:
        """Send a message and apply its effect."""
        refused = self._not_permitted(call)
        if refused is not None:
            return self._context.mask_refusal(call, refused)
        request = self._read(call)
        if isinstance(request, Response):
            return request
        if request.root is None:
            return error_responses.not_found(call.correlation, "Recipient")
        world, existing = self._context.world, request.existing
        verdict, view = judge(world, request.root, call.now, existing=existing)
        if verdict is not SendVerdict.ACCEPTED:
            return self._refuse(call, verdict)
        return self._deliver(call, request, request.root, view)

    def _not_permitted(self, call: Call) -> Response | None:
        grants = self._context.grants
        refused = missing_access(call, grants, _SCOPES, _PERMISSION, cause="scope_forbidden")
        if refused is None and grants.lacks == "division":
            return missing_division(call, _PERMISSION)
        return refused

    def _read(self, call: Call) -> _SendRequest | Response:
        body = body_object(call)
        messenger = text_at(body, "toAddressMessengerType") or ""
        deployment = text_at(body, "fromAddress")
        contact, address = text_at(body, "externalContactId"), text_at(body, "toAddress")
        if messenger not in _LIMITS:
            return _bad(call, "toAddressMessengerType is not a messenger", "messenger")
        if deployment not in self._rules.deployments:
            return _bad(call, "fromAddress is not a deployment or number", "deployment")
        text = _message_text(body, messenger)
        if text is None or len(text) > _LIMITS[messenger]:
            rule = f"textBody must have 1 to {_LIMITS[messenger]} characters"
            if messenger == "whatsapp":
                rule = "messagingTemplate is required for whatsapp"
            return _bad(call, rule, "text")
        wrong = _wrong_recipient(messenger, contact, address)
        if wrong:
            return _bad(call, wrong, SendVerdict.TARGET)
        root = ids.root_of_contact(contact) if contact else ids.root_of_address(address or "")
        existing = body.get("useExistingActiveConversation") is True
        return _SendRequest(text, deployment, messenger, contact, address, root, existing)

    def _refuse(self, call: Call, verdict: SendVerdict) -> Response:
        if verdict in _ACTIVE_VERDICTS:
            if self._rules.active_status == 400:  # noqa: PLR2004 - HTTP status
                return _bad(call, "The recipient has an active conversation", verdict)
            return error_responses.conflict(call.correlation, verdict)
        if verdict is SendVerdict.IDENTITY:
            return error_responses.not_found(call.correlation, "Recipient")
        if verdict is SendVerdict.CONTACT_FORBIDDEN:
            return out_of_reach(call, verdict)
        if verdict is SendVerdict.REDIRECTED:
            return error_responses.redirect(307, _PATH + "/moved", verdict)
        message = "Channel does not support proactive initiation"
        return _bad(call, message if verdict is SendVerdict.CHANNEL else "Invalid text", verdict)

    def _deliver(
        self, call: Call, request: _SendRequest, root: str, view: ConversationView | None
    ) -> Response:
        kind, conversation_id = self._place(request, root, view, call.now)
        contact = request.external_contact_id or ids.external_contact_id(conversation_id)
        to = request.address or contact
        previous_id = root if kind == "linked" else None
        message_id = self._context.record(
            Effect(kind, conversation_id, previous_id, contact, to, request.text, call.wall)
        )
        return response(200, _body(request, conversation_id, message_id, to, iso(call.wall)))

    def _place(
        self, request: _SendRequest, root: str, view: ConversationView | None, now: float
    ) -> tuple[EffectKind, str]:
        """Return the kind of effect and the conversation that takes the message.

        The kind is relative to the conversation that the guest began: a message joins it, or
        joins or begins a later one. The first message to a person whose conversation is gone is
        not linked to it.
        """
        phase = Phase.EXPIRED if view is None else self._window.state(root, view, now).phase
        if phase in (Phase.OPEN, Phase.RESUMABLE):
            return ("notified" if request.existing else "threaded"), root
        latest = self._window.latest(root, now)
        conversation_id = self._context.world.open_linked(root) if latest is None else latest
        self._window.record_message(conversation_id, now)
        return ("unlinked" if latest is None and view is None else "linked"), conversation_id


def judge(
    world: World, conversation_id: str, now: float, *, existing: bool
) -> tuple[SendVerdict, ConversationView | None]:
    """Return the verdict on a message to the person of a conversation, and change its state.

    ``existing``: it may go into the conversation while that is open. The person of a conversation
    that is gone is still known: then there is no view.
    """
    view = world.look(conversation_id, now)
    if view is None:
        return SendVerdict.ACCEPTED, None
    if view.kind.verdict is not None or not view.kind.known:
        return view.kind.verdict or SendVerdict.IDENTITY, view
    name = view.kind.name
    if name in ("loop", "stubborn"):
        return SendVerdict.LOOP, view
    if name == "notactive" and existing and world.touch(conversation_id, now):
        return SendVerdict.NOT_ACTIVE, view
    if name == "returning" and not existing and world.touch(conversation_id, now):
        return SendVerdict.PREVIOUS_OPEN, view
    if name in ("closing", "vanished") and existing and world.touch(conversation_id, now):
        return SendVerdict.ACCEPTED, world.look(conversation_id, now)
    if view.is_open and not existing:
        return SendVerdict.PREVIOUS_OPEN, view
    return (
        SendVerdict.ACCEPTED if view.is_open or view.kind.proactive else SendVerdict.CHANNEL
    ), view


def _body(
    request: _SendRequest, conversation_id: str, message_id: str, to: str, time: str
) -> dict[str, object]:
    uri = f"/api/v2/conversations/messages/{conversation_id}/messages/{message_id}"
    message = {
        "id": message_id,
        "timestamp": time,
        "fromAddress": request.deployment,
        "toAddress": to,
        "direction": "outbound",
        "messengerType": request.messenger,
        "status": "queued",
        "conversationId": conversation_id,
        "selfUri": uri,
    }
    return {
        "id": message_id,
        "conversationId": conversation_id,
        "fromAddress": request.deployment,
        "toAddress": to,
        "messengerType": request.messenger,
        "message": message,
        "timestamp": time,
        "useExistingActiveConversation": request.existing,
        "selfUri": f"{_PATH}/{message_id}",
    }


def _wrong_recipient(messenger: str, contact: str | None, address: str | None) -> str:
    if messenger == "webmessaging":
        if address is not None:
            return "toAddress cannot be used with webmessaging"
        return "" if contact else "externalContactId is required for webmessaging"
    if contact is not None and messenger not in _BY_CONTACT:
        return f"externalContactId cannot be used with {messenger}"
    return "" if contact or address else "toAddress or externalContactId is required"


def _message_text(body: Mapping[str, object], messenger: str) -> str | None:
    """Return the text; for a template, which whatsapp requires, the parameters' texts."""
    if messenger != "whatsapp":
        return text_at(body, "textBody")
    template = body.get("messagingTemplate")
    if not isinstance(template, dict) or not text_at(template, "responseId"):
        return None
    parameters = template.get("bodyParameters") or template.get("parameters") or []
    listed = parameters if isinstance(parameters, list) else []
    values = [item.get("value") for item in listed if isinstance(item, dict)]
    return " ".join(value for value in values if isinstance(value, str))


def _bad(call: Call, message: str, cause: str) -> Response:
    return error_responses.bad_request(call.correlation, message, cause)
