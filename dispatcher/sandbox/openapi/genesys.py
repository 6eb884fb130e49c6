"""The operations of the dialect ``genesys``."""

from collections.abc import Mapping

from dispatcher.sandbox.openapi.bodies import ApiError, Token, TokenError, TokenRequest
from dispatcher.sandbox.openapi.genesys_bodies import (
    AgentlessMessage,
    AgentlessRequest,
    Attributes,
    AttributesRequest,
    DataAvailability,
    Deployment,
    DetailsPage,
    DetailsQuery,
    MessageConversation,
    TagRequest,
    TimelineInfo,
    TokenRights,
)
from dispatcher.sandbox.openapi.operation import (
    DialectDescription,
    Operation,
    Play,
    QueryParameter,
)

_TOKEN_PATH = "/oauth/token"  # noqa: S105 - the path of the tokens
_MESSAGES = "/api/v2/conversations/messages"
_DETAILS = "/api/v2/analytics/conversations/details"
_TEXT = "Hello Ada, do you still have a question?"
_READ = ("conversations:readonly", "conversations")
_WRITE = ("conversations",)
_ANALYTICS = ("analytics:readonly", "analytics")
_NO_SCOPES = {"token": {"granted": ["analytics:readonly"]}}
_NO_ANALYTICS = {"token": {"granted": ["conversations"]}}
_NO_PERMISSIONS: Mapping[str, object] = {"token": {"permissions": []}}
_MASKED = {"token": {"granted": ["conversations:readonly"], "mask": "all"}}
_UNAUTHORIZED = {"token": {"granted": ["conversations:readonly"], "unauthorized": True}}
_NO_DIVISION: Mapping[str, object] = {"token": {"divisions": []}}


def _message(conversation_id: str, **changes: object) -> Mapping[str, object]:
    return {
        "fromAddress": "deployment-1",
        "toAddressMessengerType": "webmessaging",
        "externalContactId": f"x-{conversation_id}",
        "textBody": _TEXT,
        "useExistingActiveConversation": False,
        **changes,
    }


def _query(**changes: object) -> Mapping[str, object]:
    predicate = {"type": "dimension", "dimension": "conversationId", "value": "ended-1"}
    return {
        "interval": "2020-01-01T00:00:00Z/2030-01-01T00:00:00Z",
        "conversationFilters": [{"type": "or", "predicates": [predicate]}],
        **changes,
    }


_TOKEN = Operation(
    endpoints=("token",),
    method="POST",
    path=_TOKEN_PATH,
    name="requestToken",
    tag="OAuth",
    summary="Request a token",
    description="Client credentials. Token requests do not count for the quota.",
    request=TokenRequest,
    answer=Token,
    error=TokenError,
    plays=(
        Play("token", "a token", body="grant_type=client_credentials"),
        Play("grant_type", "another grant type", body="grant_type=password"),
        Play("client", "an unknown client", body="grant_type=client_credentials", pair="a:b"),
        Play("secret", "a wrong secret", body="grant_type=client_credentials",
             pair="sandbox-client:b"),
    ),
)  # fmt: skip

_ME = Operation(
    endpoints=("me",),
    method="GET",
    path="/api/v2/tokens/me",
    name="readToken",
    tag="OAuth",
    summary="Read what the token permits",
    description="Scopes of the token and of the client, and the divisions of its roles.",
    answer=TokenRights,
    error=ApiError,
    plays=(Play("token", "the scopes of the token"),),
)

_TIMELINE = Operation(
    endpoints=("timeline",),
    method="GET",
    path="/api/v2/conversations/messaging/threadingtimeline",
    name="readThreadingTimeline",
    tag="Organization",
    summary="Read how long a conversation takes messages after its end",
    description="A message to a person joins a conversation that ended within this time.",
    answer=TimelineInfo,
    error=ApiError,
    scopes=_READ,
    plays=(
        Play("timeline", "the threading windows"),
        Play("scope", "the token has no scope for it", scenario=_NO_SCOPES),
    ),
)

_DEPLOYMENT = Operation(
    endpoints=("deployment",),
    method="GET",
    path="/api/v2/webdeployments/deployments/{deploymentId}",
    name="readDeployment",
    tag="Organization",
    summary="Read a messenger deployment",
    description="The sender of messages.",
    answer=Deployment,
    error=ApiError,
    plays=(
        Play("deployment", "a deployment", ("deployment-1",)),
        Play("gone", "the deployment does not exist", ("deployment-2",)),
    ),
)

_CHECK = Operation(
    endpoints=("check",),
    method="GET",
    path=_MESSAGES + "/{conversationId}",
    name="readConversation",
    tag="Conversations",
    summary="Read the state of a conversation",
    description="The participants show it: that of the customer is connected, or has left.",
    answer=MessageConversation,
    error=ApiError,
    scopes=_READ,
    plays=(
        Play("active", "an open session", ("active-1",)),
        Play("agent", "an open session with an agent", ("agentline-1",)),
        Play("ended", "a session that has ended", ("ended-1",)),
        Play("scope", "the token has no scope for it", ("ended-1",), scenario=_NO_SCOPES),
        Play("permission", "the permission to read is missing", ("ended-1",),
             scenario=_NO_PERMISSIONS),
        Play("gone", "the conversation does not exist", ("gone-1",)),
    ),
)  # fmt: skip

_SEND = Operation(
    endpoints=("notify", "open"),
    method="POST",
    path=_MESSAGES + "/agentless",
    name="sendMessage",
    tag="Messages",
    summary="Send a message to a person",
    description=(
        "It goes into a conversation that is open, if that is permitted, or has ended within the "
        "threading window; else it begins a new one. In counts it is a notify if it may go into "
        "an open session, else an open."
    ),
    request=AgentlessRequest,
    answer=AgentlessMessage,
    error=ApiError,
    scopes=_WRITE,
    plays=(
        Play("new", "the message is accepted, in a new conversation", body=_message("ended-1")),
        Play("existing", "the message is accepted, in the open session",
             body=_message("active-1", useExistingActiveConversation=True)),
        Play("sms", "the message is accepted, to a number",
             body={"fromAddress": "deployment-1", "toAddressMessengerType": "sms",
                   "toAddress": "a-ended-1", "textBody": _TEXT}),
        Play("whatsapp", "the message is accepted, as a template",
             body={"fromAddress": "deployment-1", "toAddressMessengerType": "whatsapp",
                   "toAddress": "a-ended-1", "messagingTemplate": {
                       "responseId": "r-1", "bodyParameters": [{"id": "1", "value": _TEXT}]}}),
        Play("deployment", "the sender is not known", body=_message("ended-1", fromAddress="d-9")),
        Play("text", "the text is empty or too long", body=_message("ended-1", textBody="")),
        Play("recipient", "the recipient is missing, or is not of this messenger",
             body={**_message("ended-1"), "toAddress": "a-ended-1"}),
        Play("channel", "the channel does not permit that the organisation writes first",
             body=_message("channel-1")),
        Play("active_400", "the person has an open session, in an organisation that answers so",
             body=_message("active-1"), scenario={"genesys": {"active_status": 400}}),
        Play("forbidden", "messages to this contact are not permitted",
             body=_message("forbidden-1")),
        Play("scope", "the token has no scope for it", body=_message("ended-1"),
             scenario=_NO_SCOPES),
        Play("permission", "the permission to send is missing", body=_message("ended-1"),
             scenario=_NO_PERMISSIONS),
        Play("division", "the division of the conversation is missing", body=_message("ended-1"),
             scenario=_NO_DIVISION),
        Play("unknown", "the platform does not know the person", body=_message("stranger-1")),
        Play("active", "the person has an open session", body=_message("active-1")),
        Play("loop", "every message to this person is refused", body=_message("loop-1")),
        Play("masked_scope", "the token has no write scope, and the platform masks it",
             body=_message("ended-1"), scenario=_MASKED),
        Play("hidden_scope", "the token has no write scope, and the platform answers so",
             body=_message("ended-1"), scenario=_UNAUTHORIZED),
        Play("moved", "a redirect", body=_message("redirected-1")),
    ),
)  # fmt: skip

_TAG = Operation(
    endpoints=("tags",),
    method="PUT",
    path="/api/v2/conversations/{conversationId}/tags",
    name="tagConversation",
    tag="Conversations",
    summary="Set the tag of a conversation",
    description="It replaces an earlier one.",
    request=TagRequest,
    answer=None,
    error=ApiError,
    scopes=_WRITE,
    plays=(
        Play("tagged", "the tag is accepted", ("ended-1",), {"externalTag": "active-7"}),
        Play("tag", "the tag is not a text", ("ended-1",), {"externalTag": 7}),
        Play("permission", "the permission to tag is missing", ("ended-1",),
             {"externalTag": "active-7"}, scenario=_NO_PERMISSIONS),
        Play("gone", "the conversation does not exist", ("gone-1",), {"externalTag": "active-7"}),
    ),
)  # fmt: skip

_ATTRIBUTES = Operation(
    endpoints=("attributes",),
    method="PATCH",
    path=_MESSAGES + "/{conversationId}/participants/{participantId}/attributes",
    name="addAttributes",
    tag="Conversations",
    summary="Add attributes to a participant",
    description="Attributes with the same names are replaced.",
    request=AttributesRequest,
    answer=Attributes,
    error=ApiError,
    scopes=_WRITE,
    plays=(
        Play("added", "all attributes of the participant", ("ended-1", "p-customer-ended-1"),
             {"attributes": {"previous": "active-7"}}),
        Play("texts", "an attribute is not a text", ("ended-1", "p-customer-ended-1"),
             {"attributes": {"previous": 7}}),
        Play("scope", "the token has no scope for it", ("ended-1", "p-customer-ended-1"),
             {"attributes": {}}, scenario=_NO_SCOPES),
        Play("gone", "the participant does not exist", ("ended-1", "p-1"), {"attributes": {}}),
    ),
)  # fmt: skip

_QUERY = Operation(
    endpoints=("analytics",),
    method="POST",
    path=_DETAILS + "/query",
    name="queryConversations",
    tag="Analytics",
    summary="Find conversations by filters",
    description="Those that were active in the interval; shown after a delay.",
    request=DetailsQuery,
    answer=DetailsPage,
    error=ApiError,
    scopes=_ANALYTICS,
    plays=(
        Play("page", "a page of the conversations", body=_query()),
        Play("query", "the query is not valid", body=_query(interval="yesterday")),
        Play("scope", "the token has no scope for it", body=_query(), scenario=_NO_ANALYTICS),
        Play("permission", "the permission to read is missing", body=_query(),
             scenario=_NO_PERMISSIONS),
    ),
)  # fmt: skip

_MANY = Operation(
    endpoints=("details",),
    method="GET",
    path=_DETAILS,
    name="readConversations",
    tag="Analytics",
    summary="Read many conversations by their ids",
    description="Those that exist; shown after a delay.",
    query=(QueryParameter("id", "Ids with commas between them, at most 100.", "ended-1,active-1"),),
    answer=DetailsPage,
    error=ApiError,
    scopes=_ANALYTICS,
    plays=(
        Play("details", "the conversations that exist", query="id=ended-1,agentline-1,gone-1"),
        Play("ids", "no id, or too many", query="id=,"),
        Play("scope", "the token has no scope for it", query="id=ended-1", scenario=_NO_ANALYTICS),
    ),
)

_AVAILABILITY = Operation(
    endpoints=("availability",),
    method="GET",
    path=_DETAILS + "/jobs/availability",
    name="readAvailability",
    tag="Analytics",
    summary="Read up to when the records are complete",
    description="A message that is not shown although its time is before this does not exist.",
    answer=DataAvailability,
    error=ApiError,
    scopes=_ANALYTICS,
    plays=(
        Play("date", "a date"),
        Play("scope", "the token has no scope for it", scenario=_NO_ANALYTICS),
    ),
)

GENESYS_API = DialectDescription(
    dialect="genesys",
    title="The dispatcher's sandbox, dialect genesys",
    text=(
        "The calls of the public API of Genesys Cloud that the dispatcher makes, on this machine. "
        "What a conversation does follows from the first word of its id: `active-1` is open, "
        "`ended-1` has ended, `gone-1` does not exist; `x-ended-1` is the external contact of its "
        "guest, and `a-ended-1` the address. Answers with the status 302, 307 and 5xx come only "
        "if a scenario has them as a fault, except those to `x-redirected-1`."
    ),
    tags={
        "OAuth": "Tokens.",
        "Organization": "What is set up once.",
        "Conversations": "The state of conversations, and their labels.",
        "Messages": "Everything that a guest can read.",
        "Analytics": "What has happened, after a delay.",
    },
    parameters={
        "conversationId": "The id of the conversation; its first word is its kind.",
        "participantId": "The id of the participant.",
        "deploymentId": "The id of the deployment.",
    },
    token_path=_TOKEN_PATH,
    scopes={
        "conversations": "State checks, messages and labels.",
        "conversations:readonly": "State checks.",
        "analytics": "Analytics.",
        "analytics:readonly": "Analytics.",
    },
    operations=(
        _TOKEN, _ME, _TIMELINE, _DEPLOYMENT, _CHECK, _SEND, _TAG, _ATTRIBUTES, _QUERY, _MANY,
        _AVAILABILITY,
    ),
)  # fmt: skip
