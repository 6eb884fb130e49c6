"""The bodies of the dialect ``genesys``."""

from typing import Annotated, Literal

from pydantic import Field

from dispatcher.sandbox.genesys.analytics_query import (
    CONVERSATION_DIMENSIONS,
    MAX_PAGE,
    SEGMENT_DIMENSIONS,
)
from dispatcher.sandbox.openapi.bodies import MAYBE, Body, FilledText
from dispatcher.sandbox.scenario.value_types import Messenger

_NAME = Field(json_schema_extra={"enum": list(CONVERSATION_DIMENSIONS)})
_SEGMENT_NAME = Field(json_schema_extra={"enum": list(SEGMENT_DIMENSIONS)})
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"
Operator = Literal["matches", "exists", "notExists"]


class TemplateParameter(Body):
    """One parameter of a template."""

    id: str = MAYBE
    value: str


class MessagingTemplate(Body):
    """The template that WhatsApp needs."""

    response_id: FilledText
    body_parameters: list[TemplateParameter] = MAYBE


class AgentlessRequest(Body):
    """A message to a person."""

    from_address: str
    """The deployment; of another messenger a number or an integration."""
    to_address_messenger_type: Messenger
    to_address: FilledText = MAYBE
    """Not with ``webmessaging``."""
    external_contact_id: FilledText = MAYBE
    """Required with ``webmessaging``."""
    text_body: Annotated[str, Field(min_length=1, max_length=2000)] = MAYBE
    """At most 765 characters with ``sms``; not with ``whatsapp``, which needs a template."""
    messaging_template: MessagingTemplate = MAYBE
    use_existing_active_conversation: bool = False
    """Whether the message may go into a session that is open; else that is refused."""


class OutboundMessage(Body):
    """A message as the platform keeps it."""

    id: str
    timestamp: str
    from_address: str
    to_address: str
    direction: Literal["outbound"]
    messenger_type: Messenger
    status: str
    conversation_id: str
    self_uri: str


class AgentlessMessage(Body):
    """A message that was accepted, and the conversation that took it."""

    id: str
    conversation_id: str
    from_address: str
    to_address: str
    messenger_type: Messenger
    message: OutboundMessage
    timestamp: str
    use_existing_active_conversation: bool
    self_uri: str


class Organization(Body):
    """The organisation."""

    id: str
    name: str


class ClientRole(Body):
    """A role of the client, and the division in which it applies."""

    role_id: str
    division_id: str


class ClientInfo(Body):
    """The client of the token."""

    id: str
    name: str
    authorized_grant_type: str
    scope: list[str]
    role_divisions: list[ClientRole]
    state: str
    organization: Organization


class TokenRights(Body):
    """What the token permits."""

    organization: Organization
    home_organization: Organization
    authorized_scope: list[str]
    oauth_client: ClientInfo = Field(alias="OAuthClient")


class TimelineSetting(Body):
    """How long a conversation of a messenger takes messages after its end."""

    messenger_type: Messenger
    timeout_in_minutes: int


class TimelineInfo(Body):
    """The threading windows of the messengers."""

    settings: list[TimelineSetting]
    default_timeout_minutes: int


class Deployment(Body):
    """A messenger deployment."""

    id: str
    name: str
    status: str


class Reference(Body):
    """Something else with an address of its own."""

    id: str
    self_uri: str


class DivisionEntities(Body):
    """A division of the conversation."""

    division: Reference
    entities: list[object]


class ParticipantAddress(Body):
    """An address as it was written, and in its normal form."""

    address_normalized: str
    address_raw: str


class ParticipantMessage(Body):
    """A message of a participant, without its text."""

    message_id: str
    message_status: str
    message_time: str


class Participant(Body):
    """A person, bot or program in a conversation."""

    id: str
    purpose: str
    """``customer``, ``agent``, ``bot`` or ``api``."""
    state: str
    """Of the customer: ``connected`` and ``alerting`` are open, ``disconnected`` is not. There may
    be other states."""
    direction: Literal["inbound", "outbound"]
    held: bool
    start_time: str
    connected_time: str
    end_time: str = MAYBE
    disconnect_type: str = MAYBE
    provider: str
    type: Messenger
    attributes: dict[str, str]
    messages: list[ParticipantMessage]
    to_address: ParticipantAddress = MAYBE
    from_address: ParticipantAddress = MAYBE
    external_contact: Reference = MAYBE
    user: Reference = MAYBE


class MessageConversation(Body):
    """A conversation; its participants show its state."""

    id: str
    participants: list[Participant]
    other_media_uris: list[object]
    recent_transfers: list[object]
    divisions: list[DivisionEntities]
    self_uri: str


class TagRequest(Body):
    """The tag of a conversation."""

    external_tag: str


class AttributesRequest(Body):
    """Attributes to add to a participant."""

    attributes: dict[str, str]


class Attributes(Body):
    """All attributes of a participant."""

    attributes: dict[str, str]


class Paging(Body):
    """Which page of the results."""

    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 25
    page_number: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class ConversationPredicate(Body):
    """One condition on conversations."""

    type: Literal["dimension"] = "dimension"
    dimension: Annotated[str, _NAME]
    operator: Operator = "matches"
    value: str | None = None


class SegmentPredicate(Body):
    """One condition on segments."""

    type: Literal["dimension"] = "dimension"
    dimension: Annotated[str, _SEGMENT_NAME]
    operator: Operator = "matches"
    value: str | None = None


class ConversationFilter(Body):
    """Conditions of which all must hold, or one."""

    type: Literal["and", "or"]
    predicates: Annotated[list[ConversationPredicate], Field(min_length=1)]


class SegmentFilter(Body):
    """Conditions of which all must hold, or one."""

    type: Literal["and", "or"]
    predicates: Annotated[list[SegmentPredicate], Field(min_length=1)]


class DetailsQuery(Body):
    """Which conversations to find."""

    interval: Annotated[str, Field(pattern=f"^{_TIME}/{_TIME}$")]
    """Start and end, as in ISO 8601; the end comes later."""
    paging: Paging = MAYBE
    order: Literal["asc", "desc", "unordered"] = "asc"
    conversation_filters: list[ConversationFilter] = MAYBE
    segment_filters: list[SegmentFilter] = MAYBE


class Segment(Body):
    """A part of a session."""

    segment_start: str
    segment_end: str = MAYBE
    segment_type: str
    disconnect_type: str = MAYBE
    conference: bool


class Metric(Body):
    """One count."""

    emit_date: str
    name: str
    value: int


class SessionRecord(Body):
    """A session of a participant; a message of a program has one of its own."""

    session_id: str
    media_type: Literal["message"]
    message_type: Messenger
    direction: Literal["inbound", "outbound"]
    address_from: str
    address_to: str
    provider: str
    segments: list[Segment]
    metrics: list[Metric]


class AnalyticsParticipant(Body):
    """A participant as analytics show it."""

    participant_id: str
    purpose: str
    sessions: list[SessionRecord]
    external_contact_id: str = MAYBE


class DetailsRecord(Body):
    """A conversation as analytics show it, with a delay and without texts."""

    conversation_id: str
    conversation_start: str
    conversation_end: str = MAYBE
    conversation_initiator: str
    division_ids: list[str]
    originating_direction: Literal["inbound", "outbound"]
    participants: list[AnalyticsParticipant]
    external_tag: str = MAYBE


class DetailsPage(Body):
    """The conversations of one page, and how many there are; a call by ids has no total."""

    conversations: list[DetailsRecord]
    total_hits: int = MAYBE


class DataAvailability(Body):
    """Up to when the records are complete."""

    data_availability_date: str
