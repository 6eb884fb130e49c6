"""The dialect ``genesys`` of the platform contract: routes, tokens, client and timeline."""

import re

from dispatcher.sandbox.dialect import NO_ROUTE, Call, Dialect, DialectContext, route_with_id
from dispatcher.sandbox.genesys.labels import LabelEndpoint, Labels
from dispatcher.sandbox.genesys.look_back import AnalyticsEndpoint
from dispatcher.sandbox.genesys.refusals import missing_scope
from dispatcher.sandbox.genesys.sends import AgentlessEndpoint
from dispatcher.sandbox.genesys.states import StateEndpoint
from dispatcher.sandbox.genesys.threading_window import ThreadingWindow
from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.error_responses import not_found
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.oauth import DialectScopes
from dispatcher.sandbox.scenario.model import GenesysRules
from dispatcher.sandbox.scenario.value_types import DIVISION

_READ_SCOPES = ("conversations:readonly", "conversations")
GENESYS = DialectScopes(
    read=("conversations:readonly", "analytics:readonly"),
    write=("conversations",),
    permission="conversation:message:create",
    division=DIVISION,
    in_token=False,
)
"""Source: platform contract, scopes and permissions."""

_MESSAGES = b"/api/v2/conversations/messages/"
_DEPLOYMENTS = b"/api/v2/webdeployments/deployments/"
_ANY = b"/api/v2/conversations/"
_FIXED = {
    (b"POST", b"/oauth/token"): "token",
    (b"GET", b"/api/v2/tokens/me"): "me",
    (b"GET", b"/api/v2/conversations/messaging/threadingtimeline"): "timeline",
    (b"POST", b"/api/v2/analytics/conversations/details/query"): "analytics",
    (b"GET", b"/api/v2/analytics/conversations/details"): "details",
    (b"GET", b"/api/v2/analytics/conversations/details/jobs/availability"): "availability",
}
_AGENTLESS = _MESSAGES + b"agentless"
_EXISTING = re.compile(rb'"useExistingActiveConversation"\s*:\s*true')
_ATTRIBUTES = re.compile(re.escape(_MESSAGES) + rb"([^/]+)/participants/([^/]+)/attributes")
_TAGS = re.compile(re.escape(_ANY) + rb"([^/]+)/tags")
_ORGANIZATION = {"id": "organization-1", "name": "Sandbox"}
_ROLE = "role-1"


class GenesysDialect(Dialect):
    """Answers the calls of the dialect ``genesys``."""

    def __init__(
        self, context: DialectContext, rules: GenesysRules, availability_lag: float, now: float,
        wall_offset: float,
    ) -> None:  # fmt: skip
        window = ThreadingWindow(context.world, rules, now, wall_offset)
        labels = Labels()
        label_endpoint = LabelEndpoint(context, labels)
        analytics = AnalyticsEndpoint(context, window, labels, rules, availability_lag)
        send = AgentlessEndpoint(context, window, rules).send
        self._context = context
        self._rules = rules
        self.handlers = {
            "token": self._token,
            "me": self._me,
            "timeline": self._timeline,
            "deployment": self._deployment,
            "check": StateEndpoint(context, window, labels, rules).check,
            "notify": send,
            "open": send,
            "tags": label_endpoint.tag,
            "attributes": label_endpoint.add_attributes,
            "analytics": analytics.query,
            "details": analytics.details,
            "availability": analytics.availability,
        }

    def route(self, request: Request) -> tuple[str, str]:
        """Return the endpoint's name and the id in the path; a query string changes nothing."""
        method, path = request.method, request.target.partition(b"?")[0]
        if method == b"GET" and path.startswith(_MESSAGES):
            return route_with_id("check", path[len(_MESSAGES) :])
        if method == b"GET" and path.startswith(_DEPLOYMENTS):
            return route_with_id("deployment", path[len(_DEPLOYMENTS) :])
        if method == b"POST" and path == _AGENTLESS:
            return ("notify" if _EXISTING.search(request.body) else "open"), ""
        fixed = _FIXED.get((method, path))
        if fixed is not None:
            return fixed, ""
        tags = _TAGS.fullmatch(path) if method == b"PUT" else None
        if tags is not None:
            return route_with_id("tags", tags[1])
        attributes = _ATTRIBUTES.fullmatch(path) if method == b"PATCH" else None
        return NO_ROUTE if attributes is None else route_with_id("attributes", attributes[1])

    def _token(self, call: Call) -> Response:
        """OAuth client credentials.

        The status for an unknown client id differs from that for a wrong secret, because both are
        in use (platform contract, token).
        """
        grants, authorization = self._context.grants, call.request.authorization
        if grants.matches_secret(authorization):
            return grants.token_response(call.request.body, call.now)
        return response(
            401 if grants.matches_id(authorization) else 400,
            {
                "error": "invalid_client",
                "description": "authentication failed",
                "error_description": "authentication failed",
            },
        )

    def _me(self, call: Call) -> Response:
        grants = call.grants or self._context.grants
        usable = call.token.usable if call.token is not None else frozenset()
        scopes = [scope for scope in grants.granted if scope in usable]
        return response(
            200,
            {
                "organization": _ORGANIZATION,
                "homeOrganization": _ORGANIZATION,
                "authorizedScope": scopes,
                "OAuthClient": {
                    "id": grants.client_id,
                    "name": "The sandbox's client",
                    "authorizedGrantType": "CLIENT-CREDENTIALS",
                    "scope": list(grants.granted),
                    "roleDivisions": [
                        {"roleId": _ROLE, "divisionId": division} for division in grants.divisions
                    ],
                    "state": "active",
                    "organization": _ORGANIZATION,
                },
            },
        )

    def _timeline(self, call: Call) -> Response:
        refused = missing_scope(call, _READ_SCOPES)
        minutes = self._rules.threading_minutes
        setting = {"messengerType": self._rules.messenger, "timeoutInMinutes": minutes}
        return refused or response(200, {"settings": [setting], "defaultTimeoutMinutes": 4320})

    def _deployment(self, call: Call) -> Response:
        """Read a messenger deployment (source: the platform's public SDK, WebDeploymentsApi)."""
        if call.conversation_id not in self._rules.deployments:
            return not_found(call.correlation, "deployment")
        return response(200, {"id": call.conversation_id, "name": "Sandbox", "status": "Active"})
