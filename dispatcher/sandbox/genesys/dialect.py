"""The dialect ``genesys`` of the platform contract: routes, tokens, and who the client is."""

import re
from collections.abc import Callable
from urllib.parse import unquote

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys import refusals as genesys_refusals
from dispatcher.sandbox.genesys.labels import LabelEndpoint, Labels
from dispatcher.sandbox.genesys.look_back import AnalyticsEndpoint
from dispatcher.sandbox.genesys.sends import Agentless
from dispatcher.sandbox.genesys.states import States
from dispatcher.sandbox.genesys.threading_window import Phases
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.oauth import DialectScopes
from dispatcher.sandbox.scenario.model import DIVISION, GenesysRules

SCOPES_TO_READ = ("conversations:readonly", "conversations")
GENESYS = DialectScopes(
    read=("conversations:readonly", "analytics:readonly"),
    write=("conversations",),
    permission="conversation:message:create",
    division=DIVISION,
)
"""What sends ask of the client (source: platform contract, scopes and permissions)."""

_MESSAGES = b"/api/v2/conversations/messages/"
_ANY = b"/api/v2/conversations/"
_FIXED = {
    (b"POST", b"/oauth/token"): "token",
    (b"GET", b"/api/v2/tokens/me"): "me",
    (b"GET", b"/api/v2/conversations/messaging/threadingtimeline"): "timeline",
    (b"POST", b"/api/v2/analytics/conversations/details/query"): "analytics",
    (b"GET", b"/api/v2/analytics/conversations/details"): "details",
}
_AGENTLESS = _MESSAGES + b"agentless"
_EXISTING = re.compile(rb'"useExistingActiveConversation"\s*:\s*true')
_ATTRIBUTES = re.compile(re.escape(_MESSAGES) + rb"([^/]+)/participants/([^/]+)/attributes")
_TAGS = re.compile(re.escape(_ANY) + rb"([^/]+)/tags")
_NO_ROUTE = ("other", "")
_ORGANIZATION = {"id": "organization-1", "name": "Sandbox"}
_ROLE = "role-1"


class GenesysDialect:
    """Answers the calls of the dialect; see ``Dialect`` for what its methods mean."""

    def __init__(
        self, estate: DialectContext, rules: GenesysRules, now: float, wall_offset: float
    ) -> None:
        phases = Phases(estate.world, rules, now, wall_offset)
        labels = Labels()
        states = States(estate, phases, labels, rules)
        labelling = LabelEndpoint(estate, labels)
        looks = AnalyticsEndpoint(estate, phases, labels, rules)
        self._estate = estate
        self._rules = rules
        self._answers: dict[str, Callable[[Call], Response]] = {
            "token": self._token,
            "me": self._me,
            "timeline": self._timeline,
            "check": states.check,
            "notify": (agentless := Agentless(estate, phases, rules)).send,
            "open": agentless.send,
            "tags": labelling.tag,
            "attributes": labelling.describe,
            "analytics": looks.query,
            "details": looks.details,
        }

    def route(self, request: Request) -> tuple[str, str]:
        """Find the endpoint; a query string changes nothing."""
        method, path = request.method, request.target.partition(b"?")[0]
        if method == b"GET" and path.startswith(_MESSAGES):
            return _with_id("check", path[len(_MESSAGES) :])
        if method == b"POST" and path == _AGENTLESS:
            return ("notify" if _EXISTING.search(request.body) else "open"), ""
        fixed = _FIXED.get((method, path))
        if fixed is not None:
            return fixed, ""
        tags = _TAGS.fullmatch(path) if method == b"PUT" else None
        if tags is not None:
            return _with_id("tags", tags[1])
        attributes = _ATTRIBUTES.fullmatch(path) if method == b"PATCH" else None
        return _NO_ROUTE if attributes is None else _with_id("attributes", attributes[1])

    def answer(self, call: Call) -> Response:
        """Answer a call, and let it take effect."""
        handler = self._answers.get(call.endpoint)
        if handler is None:
            return error_responses.not_found(call.correlation, "The path")
        return handler(call)

    def _token(self, call: Call) -> Response:
        """OAuth client credentials: no scopes are asked for, and none are told.

        Source: platform contract, token; a name that is not known and a wrong secret differ in
        the status, as either is in use.
        """
        grants, authorization = self._estate.grants, call.request.authorization
        if not grants.knows_client(authorization):
            return response(
                401 if grants.knows_name(authorization) else 400,
                {
                    "error": "invalid_client",
                    "description": "authentication failed",
                    "error_description": "authentication failed",
                },
            )
        issued = grants.issue(call.request.body, call.now)
        if issued is None:
            return response(400, {"error": "unsupported_grant_type"})
        return response(200, {name: value for name, value in issued.items() if name != "scope"})

    def _me(self, call: Call) -> Response:
        grants = call.grants or self._estate.grants
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
        refused = genesys_refusals.unless_scope(call, SCOPES_TO_READ)
        minutes = self._rules.threading_minutes
        setting = {"messengerType": self._rules.messenger, "timeoutInMinutes": minutes}
        return refused or response(200, {"settings": [setting], "defaultTimeoutMinutes": 4320})


def _with_id(endpoint: str, raw: bytes) -> tuple[str, str]:
    if not raw or b"/" in raw:
        return _NO_ROUTE
    text = raw.decode("ascii", "replace")
    return endpoint, unquote(text) if "%" in text else text
