"""The dialect ``messaging`` of the platform contract: routes, tokens and state checks."""

from dispatcher.sandbox.dialect import NO_ROUTE, Call, Dialect, DialectContext, route_with_id
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.messaging.look_back import LookBackEndpoint
from dispatcher.sandbox.messaging.sends import SendEndpoints
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


class MessagingDialect(Dialect):
    """Answers the calls of the dialect ``messaging``."""

    def __init__(self, context: DialectContext, times: Times) -> None:
        sends = SendEndpoints(context)
        self._context = context
        self._times = times
        self.handlers = {
            "token": self._token,
            "check": self._check,
            "notify": sends.notify,
            "open": sends.open,
            "messages": sends.message,
            "analytics": LookBackEndpoint(context, times).query,
        }

    def route(self, request: Request) -> tuple[str, str]:
        """Return the endpoint's name and the id in the path; a query string changes nothing."""
        method, path = request.method, request.target.partition(b"?")[0]
        fixed = _FIXED.get((method, path))
        if fixed is not None:
            return fixed, ""
        if not path.startswith(_ONE):
            return NO_ROUTE
        if method == b"GET":
            return route_with_id("check", path[len(_ONE) :])
        if method == b"POST" and path.endswith(_NOTIFICATIONS):
            return route_with_id("notify", path[len(_ONE) : -len(_NOTIFICATIONS)])
        return NO_ROUTE

    def _token(self, call: Call) -> Response:
        """OAuth client credentials (platform contract: the error body has one field)."""
        if not self._context.grants.matches_secret(call.request.authorization):
            return response(401, {"error": "invalid_client"})
        return self._context.grants.token_response(call.request.body, call.now)

    def _check(self, call: Call) -> Response:
        if call.token is None or not call.token.can_read:
            return error_responses.forbidden(call.correlation, "read_scope")
        view = self._context.world.look(call.conversation_id, call.now, checks=1)
        if view is None:
            return error_responses.not_found(call.correlation, "Conversation")
        body = self._state(call.conversation_id, view)
        body.update(self._context.extra_fields(call.conversation_id))
        return response(200, body)

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
