"""State checks in the dialect ``genesys``: a conversation is told by its participants."""

import math
from collections.abc import Iterator

import orjson

from dispatcher.sandbox.conversation_kinds import UNKNOWN_STATE
from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys import refusals as genesys_refusals
from dispatcher.sandbox.genesys.labels import Labels, participant_id
from dispatcher.sandbox.genesys.threading_window import Moment, Phase, Phases
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.scenario.model import DIVISION, GenesysRules
from dispatcher.sandbox.world.ids import NEW
from dispatcher.sandbox.world.message_archive import ArchivedMessage
from dispatcher.sandbox.world.timestamps import iso
from dispatcher.sandbox.world.world import ConversationView

_SCOPES = ("conversations:readonly", "conversations")
_PERMISSION = "conversation:message:view"
_CONTACTS = "/api/v2/externalcontacts/contacts/"
_STATES = {
    Phase.OPEN: "connected",
    Phase.RESUMABLE: "disconnected",
    Phase.EXPIRED: "disconnected",
    Phase.UNKNOWN: UNKNOWN_STATE,
}
_LEFT = {Phase.RESUMABLE: "peer", Phase.EXPIRED: "inactivity"}

Json = dict[str, object]


class States:
    """Answers ``GET /api/v2/conversations/messages/{id}``."""

    def __init__(
        self, estate: DialectContext, phases: Phases, labels: Labels, rules: GenesysRules
    ) -> None:
        self._estate = estate
        self._phases = phases
        self._labels = labels
        self._messenger = rules.messenger
        self._deployment = rules.deployments[0] if rules.deployments else "deployment-1"
        division = {"id": DIVISION, "selfUri": f"/api/v2/authorization/divisions/{DIVISION}"}
        self._divisions = [{"division": division, "entities": []}]

    def check(self, call: Call) -> Response:
        """Return the conversation, as it is at this moment."""
        refused = genesys_refusals.unless_scope(call, _SCOPES)
        if refused is not None:
            return refused
        if _PERMISSION not in self._estate.grants.permissions:
            return genesys_refusals.missing_permission(call, _PERMISSION)
        conversation_id = call.conversation_id
        view = self._estate.world.check(conversation_id, call.now)
        if view is None:
            return error_responses.not_found(call.correlation, "Conversation")
        moment = self._phases.of(conversation_id, view, call.now)
        body: Json = {
            "id": conversation_id,
            "participants": list(self._participants(conversation_id, view, moment)),
            "otherMediaUris": [],
            "recentTransfers": [],
            "divisions": self._divisions,
            "selfUri": f"/api/v2/conversations/messages/{conversation_id}",
        }
        if self._estate.strange(conversation_id):
            body["engagementScore"] = 0.5
            body["journey"] = {"segments": [{"id": "s-1", "type": "web"}]}
        return Response(200, orjson.dumps(body))

    def _participants(
        self, conversation_id: str, view: ConversationView, moment: Moment
    ) -> Iterator[Json]:
        sent = self._estate.history.messages(conversation_id, math.inf)
        began = self._phases.began(conversation_id, sent[0].time if sent else None)
        came_back = view.kind.threads and moment.phase is Phase.OPEN
        if came_back:
            left = Moment(Phase.RESUMABLE, began)
            yield self._customer(conversation_id, view, left, began)
        yield self._customer(conversation_id, view, moment, began, again=came_back)
        if view.kind.on_the_line:
            yield from self._on_the_line(conversation_id, view, moment, began)
        if sent:
            yield self._sender(conversation_id, sent)

    def _customer(
        self,
        conversation_id: str,
        view: ConversationView,
        moment: Moment,
        began: str,
        *,
        again: bool = False,
    ) -> Json:
        opened_by_us = conversation_id.startswith(NEW)
        customer = self._participant(
            conversation_id, "customer-again" if again else "customer", "customer", moment, began
        )
        if view.state == "ringing":
            customer["state"] = "alerting"
        customer["direction"] = "outbound" if opened_by_us else "inbound"
        customer["toAddress"] = _address(self._deployment)
        if view.address is not None:
            customer["fromAddress"] = _address(view.address)
        if view.external_contact_id is not None:
            contact = view.external_contact_id
            customer["externalContact"] = {"id": contact, "selfUri": _CONTACTS + contact}
        if not opened_by_us and not again:
            customer["messages"] = [_message(f"i-{conversation_id}", "received", began)]
        return customer

    def _on_the_line(
        self, conversation_id: str, view: ConversationView, moment: Moment, began: str
    ) -> Iterator[Json]:
        if view.kind.on_the_line == "agent":
            handed_over = Moment(Phase.RESUMABLE, began)
            bot = self._participant(conversation_id, "bot", "bot", handed_over, began)
            yield {**bot, "disconnectType": "transfer"}
        purpose = view.kind.on_the_line
        there = self._participant(conversation_id, purpose, purpose, moment, began)
        if purpose == "agent":
            there["user"] = {"id": "user-1", "selfUri": "/api/v2/users/user-1"}
        yield there

    def _sender(self, conversation_id: str, sent: list[ArchivedMessage]) -> Json:
        """Return the participant that the agentless messages are of; it is never there."""
        first, last = iso(sent[0].time), iso(sent[-1].time)
        left = Moment(Phase.RESUMABLE, last)
        sender = self._participant(conversation_id, "api", "api", left, first)
        sender["direction"] = "outbound"
        sender["fromAddress"] = _address(self._deployment)
        sender["messages"] = [_message(each.message_id, "sent", iso(each.time)) for each in sent]
        return sender

    def _participant(
        self, conversation_id: str, name: str, purpose: str, moment: Moment, began: str
    ) -> Json:
        own_id = participant_id(conversation_id, name)
        participant: Json = {
            "id": own_id,
            "purpose": purpose,
            "state": _STATES[moment.phase],
            "direction": "inbound",
            "held": False,
            "startTime": began,
            "connectedTime": began,
            "provider": "PureCloud Messaging",
            "type": self._messenger,
            "attributes": self._labels.attributes(own_id),
            "messages": [],
        }
        if moment.end is not None:
            participant["endTime"] = moment.end
            participant["disconnectType"] = _LEFT[moment.phase]
        return participant


def _message(message_id: str, status: str, time: str) -> Json:
    return {"messageId": message_id, "messageStatus": status, "messageTime": time}


def _address(text: str) -> Json:
    return {"addressNormalized": text, "addressRaw": text}
