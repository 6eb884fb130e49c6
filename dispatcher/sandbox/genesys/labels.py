"""What a client writes onto conversations: external tags, and attributes of participants."""

from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import unquote

import orjson

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys import refusals as genesys_refusals
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response

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
        """Return what was written onto a participant."""
        return self._attributes.get(participant_id, {})

    def describe(self, participant_id: str, attributes: Mapping[str, str]) -> None:
        """Add attributes to a participant, or replace them."""
        self._attributes[participant_id] = {**self.attributes(participant_id), **attributes}


def participant_id(conversation_id: str, purpose: str) -> str:
    """Return the id of the participant with this purpose."""
    return f"p-{purpose}-{conversation_id}"


class LabelEndpoint:
    """Answers the calls that write labels."""

    def __init__(self, estate: DialectContext, labels: Labels) -> None:
        self._estate = estate
        self._labels = labels

    def tag(self, call: Call) -> Response:
        """Answer ``PUT /api/v2/conversations/{id}/tags``."""
        refused = genesys_refusals.unless_scope(call, _SCOPES, "scope_forbidden")
        if refused is not None:
            return refused
        if _TAG_PERMISSION not in self._estate.grants.permissions:
            return genesys_refusals.missing_permission(call, _TAG_PERMISSION, any_of=True)
        if self._estate.world.look(call.conversation_id, call.now) is None:
            return error_responses.not_found(call.correlation, "Conversation")
        tag = _body(call).get("externalTag")
        if not isinstance(tag, str):
            return error_responses.bad_request(
                call.correlation, "externalTag must be a text", "label"
            )
        self._labels.tag(call.conversation_id, tag)
        return response(202, "")

    def describe(self, call: Call) -> Response:
        """Answer ``PATCH .../messages/{id}/participants/{id}/attributes``."""
        refused = genesys_refusals.unless_scope(call, _SCOPES, "scope_forbidden")
        if refused is not None:
            return refused
        participant = unquote(call.request.target.split(b"/")[-2].decode("ascii", "replace"))
        known = self._estate.world.look(call.conversation_id, call.now) is not None
        if not known or not _belongs(participant, call.conversation_id):
            return error_responses.not_found(call.correlation, "Participant")
        given = _body(call).get("attributes")
        if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
            return error_responses.bad_request(
                call.correlation, "attributes must be texts", "label"
            )
        self._labels.describe(participant, given)
        return response(200, {"attributes": self._labels.attributes(participant)})


def _belongs(participant: str, conversation_id: str) -> bool:
    return participant.startswith("p-") and participant.endswith(f"-{conversation_id}")


def _body(call: Call) -> Mapping[str, object]:
    try:
        body = orjson.loads(call.request.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
