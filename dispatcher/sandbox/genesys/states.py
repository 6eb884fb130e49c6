"""State checks in the dialect ``genesys``: participants show the state of a conversation."""

import math
from collections.abc import Iterator
from typing import Any

from dispatcher.sandbox.conversation_kinds import UNKNOWN_STATE
from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys.labels import Labels, participant_id
from dispatcher.sandbox.genesys.refusals import missing_access
from dispatcher.sandbox.genesys.threading_window import Phase, ThreadingWindow, WindowState
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.scenario.model import GenesysRules
from dispatcher.sandbox.scenario.value_types import DIVISION
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

Json = dict[str, Any]


class StateEndpoint:
    """Answers ``GET /api/v2/conversations/messages/{id}``."""

    def __init__(
        self, context: DialectContext, window: ThreadingWindow, labels: Labels, rules: GenesysRules
    ) -> None:
        self._context = context
        self._window = window
        self._labels = labels
        self._messenger = rules.messenger
        self._deployment = rules.deployment
        division = {"id": DIVISION, "selfUri": f"/api/v2/authorization/divisions/{DIVISION}"}
        self._divisions = [{"division": division, "entities": []}]

    def check(self, call: Call) -> Response:
        """Return the conversation as it is now."""
        refused = missing_access(call, self._context.grants, _SCOPES, _PERMISSION)
        if refused is not None:
            return refused
        conversation_id = call.conversation_id
        view = self._context.world.look(conversation_id, call.now, checks=1)
        if view is None:
            return error_responses.not_found(call.correlation, "Conversation")
        state = self._window.state(conversation_id, view, call.now)
        body: Json = {
            "id": conversation_id,
            "participants": list(self._participants(conversation_id, view, state, call.wall)),
            "otherMediaUris": [],
            "recentTransfers": [],
            "divisions": self._divisions,
            "selfUri": f"/api/v2/conversations/messages/{conversation_id}",
        }
        body.update(self._context.extra_fields(conversation_id))
        return response(200, body)

    def _participants(
        self, conversation_id: str, view: ConversationView, state: WindowState, now: float
    ) -> Iterator[Json]:
        messages = self._context.archive.messages(conversation_id, math.inf)
        answers = self._context.traffic.answers(conversation_id, messages, now)
        began = self._window.began(conversation_id, messages)
        came_back = view.kind.threads and state.phase is Phase.OPEN
        if came_back:
            left = WindowState(Phase.RESUMABLE, began)
            yield self._customer(conversation_id, view, left, began)
        customer = self._customer(conversation_id, view, state, began, again=came_back)
        received = [_message(item.message_id, "received", iso(item.time)) for item in answers]
        yield {**customer, "messages": [*customer["messages"], *received]}
        purpose = view.kind.on_the_line
        if purpose == "agent":
            left = WindowState(Phase.RESUMABLE, began)
            bot = self._participant(conversation_id, "bot", "bot", left, began)
            yield {**bot, "disconnectType": "transfer"}
        if purpose:
            connected = self._participant(conversation_id, purpose, purpose, state, began)
            if purpose == "agent":
                connected["user"] = {"id": "user-1", "selfUri": "/api/v2/users/user-1"}
            yield connected
        if messages:
            yield self._sender(conversation_id, messages)

    def _customer(
        self,
        conversation_id: str,
        view: ConversationView,
        state: WindowState,
        began: str,
        *,
        again: bool = False,
    ) -> Json:
        opened_by_us = conversation_id.startswith(NEW)
        customer = self._participant(
            conversation_id, "customer-again" if again else "customer", "customer", state, began
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

    def _sender(self, conversation_id: str, messages: list[ArchivedMessage]) -> Json:
        """Return the participant that sent the agentless messages; it is always disconnected."""
        first, last = iso(messages[0].time), iso(messages[-1].time)
        left = WindowState(Phase.RESUMABLE, last)
        sender = self._participant(conversation_id, "api", "api", left, first)
        sender["direction"] = "outbound"
        sender["fromAddress"] = _address(self._deployment)
        sender["messages"] = [
            _message(message.message_id, "sent", iso(message.time)) for message in messages
        ]
        return sender

    def _participant(
        self, conversation_id: str, name: str, purpose: str, state: WindowState, began: str
    ) -> Json:
        own_id = participant_id(conversation_id, name)
        participant: Json = {
            "id": own_id,
            "purpose": purpose,
            "state": _STATES[state.phase],
            "direction": "inbound",
            "held": False,
            "startTime": began,
            "connectedTime": began,
            "provider": "PureCloud Messaging",
            "type": self._messenger,
            "attributes": self._labels.attributes(own_id),
            "messages": [],
        }
        if state.end is not None:
            participant["endTime"] = state.end
            participant["disconnectType"] = _LEFT[state.phase]
        return participant


def _message(message_id: str, status: str, time: str) -> Json:
    return {"messageId": message_id, "messageStatus": status, "messageTime": time}


def _address(text: str) -> Json:
    return {"addressNormalized": text, "addressRaw": text}
