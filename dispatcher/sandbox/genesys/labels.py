"""The labels that a client writes: tags of conversations, and attributes of participants."""

from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import unquote

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys.refusals import missing_access, missing_scope
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import body_object

_TAG_PERMISSION = "conversation:externalTag:edit"
_SCOPES = ("conversations",)


class Labels:
    """The tags and attributes that were written."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        """By conversation."""
        self._tagged: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._attributes: dict[str, dict[str, str]] = {}

    def tag(self, conversation_id: str, tag: str) -> None:
        """Replace a conversation's tag."""
        self._tagged[self.tags.get(conversation_id, "")].pop(conversation_id, None)
        self.tags[conversation_id] = tag
        self._tagged[tag][conversation_id] = None

    def tagged(self, tag: str) -> list[str]:
        """Return the conversations with this tag."""
        return list(self._tagged.get(tag, ()))

    def attributes(self, participant_id: str) -> dict[str, str]:
        """Return the attributes of a participant."""
        return self._attributes.get(participant_id, {})

    def add_attributes(self, participant_id: str, attributes: Mapping[str, str]) -> None:
        """Add attributes to a participant, or replace them."""
        self._attributes[participant_id] = {**self.attributes(participant_id), **attributes}


def participant_id(conversation_id: str, purpose: str) -> str:
    """Return the id of the participant with this purpose."""
    return f"p-{purpose}-{conversation_id}"


class LabelEndpoint:
    """Answers the calls that write labels."""

    def __init__(self, context: DialectContext, labels: Labels) -> None:
        self._context = context
        self._labels = labels

    def tag(self, call: Call) -> Response:
        """Answer ``PUT /api/v2/conversations/{id}/tags``."""
        grants, cause = self._context.grants, "scope_forbidden"
        refused = missing_access(call, grants, _SCOPES, _TAG_PERMISSION, cause=cause, any_of=True)
        if refused is not None:
            return refused
        if self._context.world.look(call.conversation_id, call.now) is None:
            return error_responses.not_found(call.correlation, "Conversation")
        tag = body_object(call).get("externalTag")
        if not isinstance(tag, str):
            message = "externalTag must be a text"
            return error_responses.bad_request(call.correlation, message, "label")
        self._labels.tag(call.conversation_id, tag)
        return response(202, "")

    def add_attributes(self, call: Call) -> Response:
        """Answer ``PATCH .../messages/{id}/participants/{id}/attributes``."""
        refused = missing_scope(call, _SCOPES, "scope_forbidden")
        if refused is not None:
            return refused
        participant = unquote(call.request.target.split(b"/")[-2].decode("ascii", "replace"))
        known = self._context.world.look(call.conversation_id, call.now) is not None
        own = participant.startswith("p-") and participant.endswith(f"-{call.conversation_id}")
        if not known or not own:
            return error_responses.not_found(call.correlation, "Participant")
        attributes = body_object(call).get("attributes")
        if not isinstance(attributes, dict) or not all(
            isinstance(value, str) for value in attributes.values()
        ):
            message = "attributes must be texts"
            return error_responses.bad_request(call.correlation, message, "label")
        self._labels.add_attributes(participant, attributes)
        return response(200, {"attributes": self._labels.attributes(participant)})
