"""The dialect ``messaging`` of the platform contract: routes, scopes, and state checks."""

from urllib.parse import unquote

import orjson

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.messaging.look_back import LookBackEndpoint
from dispatcher.sandbox.messaging.sends import Sends
from dispatcher.sandbox.world.timestamps import Times
from dispatcher.sandbox.world.world import ConversationView

_CONVERSATIONS = b"/api/v2/conversations/messaging"
_ONE = _CONVERSATIONS + b"/"
_NOTIFICATIONS = b"/notifications"
_FIXED = {
    (b"POST", b"/api/v2/oauth/token"): "token",
    (b"POST", _CONVERSATIONS): "open",
    (b"POST", _ONE + b"messages"): "messages",
    (b"POST", b"/api/v2/analytics/conversations/details/query"): "analytics",
}
_NO_ROUTE = ("other", "")


class MessagingDialect:
    """Answers the calls of the dialect; see ``Dialect`` for what its methods mean."""

    def __init__(self, estate: DialectContext, times: Times) -> None:
        sends = Sends(estate)
        self._estate = estate
        self._times = times
        self._answers = {
            "token": self._token,
            "check": self._check,
            "notify": sends.notify,
            "open": sends.open,
            "messages": sends.message,
            "analytics": LookBackEndpoint(estate, times).query,
        }

    def route(self, request: Request) -> tuple[str, str]:
        """Find the endpoint; a query string changes nothing."""
        method, path = request.method, request.target.partition(b"?")[0]
        fixed = _FIXED.get((method, path))
        if fixed is not None:
            return fixed, ""
        if not path.startswith(_ONE):
            return _NO_ROUTE
        if method == b"GET":
            return _with_id("check", path[len(_ONE) :])
        if method == b"POST" and path.endswith(_NOTIFICATIONS):
            return _with_id("notify", path[len(_ONE) : -len(_NOTIFICATIONS)])
        return _NO_ROUTE

    def answer(self, call: Call) -> Response:
        """Answer a call, and let it take effect."""
        handler = self._answers.get(call.endpoint)
        if handler is None:
            return error_responses.not_found(call.correlation, "The path")
        return handler(call)

    def _token(self, call: Call) -> Response:
        """OAuth client credentials (platform contract: the error body has one field)."""
        if not self._estate.grants.knows_client(call.request.authorization):
            return response(401, {"error": "invalid_client"})
        issued = self._estate.grants.issue(call.request.body, call.now)
        if issued is None:
            return response(400, {"error": "unsupported_grant_type"})
        return response(200, issued)

    def _check(self, call: Call) -> Response:
        if call.token is None or not call.token.can_read:
            return error_responses.forbidden(call.correlation, "read_scope")
        view = self._estate.world.check(call.conversation_id, call.now)
        if view is None:
            return error_responses.not_found(call.correlation, "Conversation")
        body = self._state(call.conversation_id, view)
        if self._estate.strange(call.conversation_id):
            body["engagementScore"] = 0.5
            body["journey"] = {"segments": [{"id": "s-1", "type": "web"}]}
        return Response(200, orjson.dumps(body))

    def _state(self, conversation_id: str, view: ConversationView) -> dict[str, object]:
        return {
            "id": conversation_id,
            "state": view.state,
            "externalContactId": view.external_contact_id,
            "guest": None if view.guest is None else {"id": view.guest, "type": "guest"},
            "from": None if view.address is None else {"address": view.address},
            "to": {"address": "deployment-1"},
            "channel": {"type": "webmessaging", "proactive": view.kind.shows_proactive},
            "previousConversationId": view.previous,
            "startTime": self._times.start(view),
            "endTime": self._times.end(view),
        }


def _with_id(endpoint: str, raw: bytes) -> tuple[str, str]:
    if not raw or b"/" in raw:
        return _NO_ROUTE
    text = raw.decode("ascii", "replace")
    return endpoint, unquote(text) if "%" in text else text
