"""The agentless messages of the dialect ``genesys``: into a conversation, again, or anew."""

from collections.abc import Mapping
from typing import NamedTuple

from dispatcher.sandbox.conversation_kinds import Verdict
from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys import refusals as genesys_refusals
from dispatcher.sandbox.genesys.threading_window import Phase, Phases
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import json_of, text_of
from dispatcher.sandbox.scenario.model import GenesysRules
from dispatcher.sandbox.world import ids
from dispatcher.sandbox.world.effect_log import Effect, EffectKind
from dispatcher.sandbox.world.timestamps import iso
from dispatcher.sandbox.world.world import ConversationView, World

_LIMITS = {"sms": 765, "whatsapp": 2000, "open": 2000, "webmessaging": 2000, "apple": 2000}
"""Characters in a message, by messenger (platform contract)."""
_BY_CONTACT = ("webmessaging", "sms", "open")
"""The messengers that take an external contact for the recipient (the SDK's own description)."""
_PERMISSION = "conversation:message:create"
_SCOPES = ("conversations",)
_PATH = "/api/v2/conversations/messages/agentless"
_ACTIVE = "The recipient has an active conversation"
_ACTIVE_VERDICTS = frozenset({Verdict.PREVIOUS_OPEN, Verdict.NOT_ACTIVE, Verdict.LOOP})


class _SendRequest(NamedTuple):
    """A well-formed request."""

    text: str
    deployment: str
    messenger: str
    external_contact_id: str | None
    address: str | None
    root: str | None
    """The oldest conversation of the recipient, None if the platform knows nobody so."""
    existing: bool


class _Placement(NamedTuple):
    """Where a message goes."""

    conversation_id: str
    previous_id: str | None
    kind: EffectKind


class Agentless:
    """Answers ``POST /api/v2/conversations/messages/agentless``."""

    def __init__(self, estate: DialectContext, phases: Phases, rules: GenesysRules) -> None:
        self._estate = estate
        self._phases = phases
        self._rules = rules

    def send(self, call: Call) -> Response:
        """Send a message, and let it take effect."""
        refused = self._not_permitted(call)
        if refused is not None:
            return refused
        ask = self._read(call)
        if isinstance(ask, Response):
            return ask
        if ask.root is None:
            return error_responses.not_found(call.correlation, "Recipient")
        verdict, view = judge(self._estate.world, ask.root, call.now, existing=ask.existing)
        if verdict is not Verdict.TAKEN:
            return self._refused(call, verdict)
        return self._sent(call, ask, self._place(ask, ask.root, view, call.now))

    def _not_permitted(self, call: Call) -> Response | None:
        grants = self._estate.grants
        refused = genesys_refusals.unless_scope(call, _SCOPES, "scope_forbidden")
        if refused is None and grants.lacks == "permission":
            refused = genesys_refusals.missing_permission(call, _PERMISSION)
        if refused is None and grants.lacks == "division":
            refused = genesys_refusals.missing_division(call, _PERMISSION)
        if refused is None:
            return None
        if grants.unauthorized:
            return error_responses.unauthorized(call.correlation, "scope_unauthorized")
        if grants.mask == "all" or (grants.mask == "open" and call.endpoint != "notify"):
            return error_responses.conflict(call.correlation, "scope_masked")
        return refused

    def _read(self, call: Call) -> _SendRequest | Response:
        body = json_of(call)
        messenger = text_of(body, "toAddressMessengerType") or ""
        deployment = text_of(body, "fromAddress")
        contact, address = text_of(body, "externalContactId"), text_of(body, "toAddress")
        if messenger not in _LIMITS:
            return _bad(call, "toAddressMessengerType is not a messenger", "messenger")
        if deployment not in self._rules.deployments:
            return _bad(call, "fromAddress is not a deployment or number", "deployment")
        text = _message_text(body, messenger)
        if text is None or len(text) > _LIMITS[messenger]:
            return _bad(call, _text_rule(messenger), "text")
        wrong = _wrong_recipient(messenger, contact, address)
        if wrong:
            return _bad(call, wrong, Verdict.TARGET)
        root = ids.of_contact(contact) if contact else ids.of_address(address or "")
        existing = body.get("useExistingActiveConversation") is True
        return _SendRequest(text, deployment, messenger, contact, address, root, existing)

    def _refused(self, call: Call, verdict: Verdict) -> Response:
        if verdict in _ACTIVE_VERDICTS:
            if self._rules.active_status == 400:  # noqa: PLR2004 - HTTP status
                return _bad(call, _ACTIVE, verdict)
            return error_responses.conflict(call.correlation, verdict)
        if verdict is Verdict.IDENTITY:
            return error_responses.not_found(call.correlation, "Recipient")
        if verdict is Verdict.CONTACT_FORBIDDEN:
            return genesys_refusals.out_of_reach(call, verdict)
        if verdict is Verdict.REDIRECTED:
            return error_responses.redirect(307, _PATH + "/moved", verdict)
        message = "Channel does not support proactive initiation"
        return _bad(call, message if verdict is Verdict.CHANNEL else "Invalid text", verdict)

    def _place(
        self, ask: _SendRequest, root: str, view: ConversationView | None, now: float
    ) -> _Placement:
        """Find where a message goes: into the session, into one that ended lately, or anew.

        The kind of effect tells it as seen from the conversation that the guest began.
        """
        phase = Phase.EXPIRED if view is None else self._phases.of(root, view, now).phase
        if phase in (Phase.OPEN, Phase.RESUMABLE):
            return _Placement(root, None, "notified" if ask.existing else "threaded")
        joined = self._phases.newest(root, now)
        if joined is None:
            new = self._estate.world.open_linked(root)
            self._phases.note(new, now)
            gone = view is None
            return _Placement(new, None if gone else root, "unlinked" if gone else "linked")
        self._phases.note(joined, now)
        return _Placement(joined, root, "linked")

    def _sent(self, call: Call, ask: _SendRequest, place: _Placement) -> Response:
        contact = ask.external_contact_id or ids.external_contact_id(place.conversation_id)
        to = ask.address or contact
        message_id = self._estate.effect(
            Effect(
                place.kind,
                place.conversation_id,
                place.previous_id,
                contact,
                to,
                ask.text,
                call.wall,
            )
        )
        return response(200, _response(ask, place.conversation_id, message_id, to, iso(call.wall)))


def judge(
    world: World, conversation_id: str, now: float, *, existing: bool
) -> tuple[Verdict, ConversationView | None]:
    """Judge a message to the person of a conversation, and let it move what it moves.

    ``existing`` tells whether it may go into the conversation while that is open. The person of
    a conversation that is gone is still there: then there is no view.
    """
    view = world.look(conversation_id, now)
    if view is None:
        return Verdict.TAKEN, None
    if view.kind.verdict is not None or not view.kind.known:
        return view.kind.verdict or Verdict.IDENTITY, view
    name = view.kind.name
    if name in ("loop", "stubborn"):
        return Verdict.LOOP, view
    if name == "notactive" and existing and world.touch(conversation_id, now):
        return Verdict.NOT_ACTIVE, view
    if name == "returning" and not existing and world.touch(conversation_id, now):
        return Verdict.PREVIOUS_OPEN, view
    if name in ("closing", "vanished") and existing and world.touch(conversation_id, now):
        return Verdict.TAKEN, world.look(conversation_id, now)
    if view.is_open and not existing:
        return Verdict.PREVIOUS_OPEN, view
    return (Verdict.TAKEN if view.is_open or view.kind.proactive else Verdict.CHANNEL), view


def _response(
    ask: _SendRequest, conversation_id: str, message_id: str, to: str, time: str
) -> dict[str, object]:
    uri = f"/api/v2/conversations/messages/{conversation_id}/messages/{message_id}"
    return {
        "id": message_id,
        "conversationId": conversation_id,
        "fromAddress": ask.deployment,
        "toAddress": to,
        "messengerType": ask.messenger,
        "message": {
            "id": message_id,
            "timestamp": time,
            "fromAddress": ask.deployment,
            "toAddress": to,
            "direction": "outbound",
            "messengerType": ask.messenger,
            "status": "queued",
            "conversationId": conversation_id,
            "selfUri": uri,
        },
        "timestamp": time,
        "useExistingActiveConversation": ask.existing,
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
    """Return the text; of a template, which whatsapp asks for, the parameters' texts."""
    if messenger != "whatsapp":
        return text_of(body, "textBody")
    template = body.get("messagingTemplate")
    if not isinstance(template, dict) or not text_of(template, "responseId"):
        return None
    given = template.get("bodyParameters") or template.get("parameters") or []
    values = [each.get("value") for each in given if isinstance(each, dict)]
    return " ".join(value for value in values if isinstance(value, str))


def _text_rule(messenger: str) -> str:
    if messenger == "whatsapp":
        return "messagingTemplate is required for whatsapp"
    return f"textBody must have 1 to {_LIMITS[messenger]} characters"


def _bad(call: Call, message: str, cause: str) -> Response:
    return error_responses.bad_request(call.correlation, message, cause)
