"""Paths and request bodies of the `genesys` dialect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.domain.sms import alphabet_of, parts_of

Messenger = Literal["webmessaging", "sms", "open", "whatsapp", "apple"]
Lineage = Literal["none", "external-tag", "attributes"]

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a secret
MESSAGES_PATH = "/api/v2/conversations/messages"
AGENTLESS_PATH = f"{MESSAGES_PATH}/agentless"
TIMELINE_PATH = "/api/v2/conversations/messaging/threadingtimeline"
QUERY_PATH = "/api/v2/analytics/conversations/details/query"
AVAILABILITY_PATH = "/api/v2/analytics/conversations/details/jobs/availability"
"""Source: the platform's public SDK, AnalyticsApi."""
DETAILS_PATH = "/api/v2/analytics/conversations/details"
DEPLOYMENTS_PATH = "/api/v2/webdeployments/deployments"
"""Source: the platform's public SDK, WebDeploymentsApi. It needs the permission
``webDeployments:deployment:view``."""
CONVERSATIONS_PATH = "/api/v2/conversations"

TEXT_LIMITS: dict[str, int] = {"sms": 765}
"""Characters a text may have, where it is not `TEXT_LIMIT` (source: platform contract)."""
MAX_SMS_PARTS = 5
"""The most parts of an SMS: 765 characters are five of the 7-bit alphabet (source: the same)."""
BY_CONTACT = frozenset({"webmessaging", "sms", "open"})
"""Messengers whose messages can name an external contact (source: the SDK's request model)."""
ATTRIBUTE = "dispatcher.previousConversationId"
"""The participant attribute with the id of the previous conversation."""
PAGE_SIZE = 100
NEWEST_RECORDS = 25
"""Conversations among which the newest record is looked for."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of all messages, and its messenger.

    ``from_address`` is a deployment id for web messaging, else a number or an integration's id.
    ``template`` is the id of the response that WhatsApp needs, ``template_parameter`` the id of
    its body parameter for a contact's text ("": it has none).
    """

    from_address: str
    messenger: Messenger = "webmessaging"
    template: str = ""
    template_parameter: str = ""


def text_limit(messenger: str) -> int:
    """Return the number of characters that a message may have."""
    return TEXT_LIMITS.get(messenger, TEXT_LIMIT)


def text_problem(text: str) -> str:
    """Return why a text is too long for SMS, "" if it is not.

    The limit is given in characters. Carriers count parts, and other alphabets have fewer
    characters in a part; what the platform does with more is not documented.
    """
    parts = parts_of(text)
    if parts <= MAX_SMS_PARTS:
        return ""
    return f"{parts} parts as SMS in {alphabet_of(text).name}, at most {MAX_SMS_PARTS} can be sent"


def needs_address(messenger: str) -> bool:
    """Return True if a message needs an address, False if it needs an external contact id."""
    return messenger != "webmessaging"


def agentless(
    sender: Sender, text: str, person: str | None, address: str | None, *, existing: bool
) -> dict[str, object]:
    """Return the body of a send (source: platform contract, dialect genesys, send).

    ``person`` is an external contact id; ``existing`` permits an open conversation.
    """
    body: dict[str, object] = {
        "fromAddress": sender.from_address,
        "toAddressMessengerType": sender.messenger,
        "useExistingActiveConversation": existing,
    }
    if person is not None and sender.messenger in BY_CONTACT:
        body["externalContactId"] = person
    if address is not None and needs_address(sender.messenger):
        body["toAddress"] = address
    if sender.messenger == "whatsapp":
        template: dict[str, object] = {"responseId": sender.template}
        if sender.template_parameter:
            template["bodyParameters"] = [{"id": sender.template_parameter, "value": text}]
        body["messagingTemplate"] = template
    else:
        body["textBody"] = text
    return body


def by_conversation(ids: Sequence[str], since: float, until: float, page: int) -> dict[str, object]:
    """Return the query for conversations by their ids."""
    return _query("conversationFilters", "conversationId", ids, (since, until), page)


def by_person(people: Sequence[str], since: float, until: float, page: int) -> dict[str, object]:
    """Return the query for the conversations of external contacts.

    It filters by person only. Direction and message type are dimensions, too, but their segment
    and their spelling are not documented, and a filter that matches nothing would look like proof
    that nothing was sent. Both are read from the conversations instead.
    """
    return _query("segmentFilters", "externalContactId", people, (since, until), page)


def newest_records(since: float, until: float) -> dict[str, object]:
    """Return the query for the conversations that began last, of all people."""
    return {
        "interval": "/".join(map(_instant, (since, until))),
        "order": "desc",
        "orderBy": "conversationStart",
        "paging": {"pageSize": NEWEST_RECORDS, "pageNumber": 1},
    }


def tag(previous: str) -> dict[str, object]:
    """Return the body that tags a conversation with its previous one."""
    return {"externalTag": previous}


def attributes(previous: str) -> dict[str, object]:
    """Return the body that writes the previous conversation to a participant's attributes."""
    return {"attributes": {ATTRIBUTE: previous}}


def _query(
    filters: str, dimension: str, values: Sequence[str], interval: tuple[float, float], page: int
) -> dict[str, object]:
    """Return one page of the conversations in which ``dimension`` has one of ``values``."""
    common = {"type": "dimension", "dimension": dimension, "operator": "matches"}
    predicates = [{**common, "value": value} for value in values]
    return {
        filters: [{"type": "or", "predicates": predicates}],
        "interval": "/".join(map(_instant, interval)),
        "order": "asc",
        "orderBy": "conversationStart",
        "paging": {"pageSize": PAGE_SIZE, "pageNumber": page},
    }


def _instant(at: float) -> str:
    instant = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return instant.replace("+00:00", "Z")
