"""The two requests of a contact in both dialects, for the alternatives that build them by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

TIMEOUT_SECONDS = 5.0
"""How long one request may take, for every alternative."""
CLIENT = ("sandbox-client", "sandbox-secret")
"""Id and secret of the sandbox's client."""

_MESSAGING = "/api/v2/conversations/messaging"
_GENESYS = "/api/v2/conversations/messages"
_OVER = ("disconnected", "terminated")

Row = Mapping[str, str]
Json = dict[str, Any]


def text_for(row: Row) -> str:
    """Return the message of a row."""
    return f"Hello {row['first_name']}"


class Calls(Protocol):
    """Paths and bodies of one dialect."""

    @property
    def token_path(self) -> str:
        """The path that grants tokens."""
        ...

    def check_path(self, row: Row) -> str:
        """Return the path that shows the state of the row's conversation."""
        ...

    def send(self, row: Row, state: Json) -> tuple[str, Json]:
        """Return path and body of the one send that is right for the state."""
        ...


@dataclass(frozen=True)
class MessagingCalls:
    """The dialect ``messaging``: notify an open session, else open a linked conversation."""

    token_path: str = "/api/v2/oauth/token"

    def check_path(self, row: Row) -> str:
        """Return the path of the state check."""
        return f"{_MESSAGING}/{row['conversation_id']}"

    def send(self, row: Row, state: Json) -> tuple[str, Json]:
        """Return a notification or an open linked."""
        conversation = row["conversation_id"]
        if state["state"] in ("active", "ringing"):
            return f"{_MESSAGING}/{conversation}/notifications", {"text": text_for(row)}
        return _MESSAGING, {
            "to": {**(state["guest"] or {}), "type": "guest"},
            "externalContactId": state["externalContactId"],
            "previousConversationId": conversation,
            "message": {"text": text_for(row)},
        }


@dataclass(frozen=True)
class GenesysCalls:
    """The dialect ``genesys``: an agentless message, into the session that is open if one is."""

    token_path: str = "/oauth/token"

    def check_path(self, row: Row) -> str:
        """Return the path of the conversation."""
        return f"{_GENESYS}/{row['conversation_id']}"

    def send(self, row: Row, state: Json) -> tuple[str, Json]:
        """Return an agentless message to the customer of the conversation."""
        customers = [who for who in state["participants"] if who["purpose"] == "customer"]
        customer = customers[-1]
        contact = customer.get("externalContact") or {"id": row["external_contact_id"]}
        return f"{_GENESYS}/agentless", {
            "fromAddress": "deployment-1",
            "toAddressMessengerType": "webmessaging",
            "externalContactId": contact["id"],
            "textBody": text_for(row),
            "useExistingActiveConversation": customer["state"] not in _OVER,
        }


CALLS: dict[str, Calls] = {"messaging": MessagingCalls(), "genesys": GenesysCalls()}
"""By dialect."""
