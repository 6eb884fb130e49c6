"""Looking back in the dialect ``genesys``: analytics show sessions and times, never texts."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys import refusals as genesys_refusals
from dispatcher.sandbox.genesys.analytics_query import Query, QueryError, page_of, passes, read
from dispatcher.sandbox.genesys.labels import Labels, participant_id
from dispatcher.sandbox.genesys.threading_window import Phase, Phases
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import json_of
from dispatcher.sandbox.scenario.model import DIVISION, GenesysRules
from dispatcher.sandbox.world import ids as naming
from dispatcher.sandbox.world.message_archive import ArchivedMessage
from dispatcher.sandbox.world.timestamps import iso

_SCOPES = ("analytics:readonly", "analytics")
_PERMISSION = "analytics:conversationDetail:view"

Json = dict[str, object]


class ConversationDetails(NamedTuple):
    """One conversation as analytics show it, and what filters can ask of it."""

    body: Json
    conversation: Mapping[str, object]
    sessions: list[Mapping[str, object]]


class AnalyticsEndpoint:
    """Answers both calls that read details of conversations."""

    def __init__(
        self, estate: DialectContext, phases: Phases, labels: Labels, rules: GenesysRules
    ) -> None:
        self._estate = estate
        self._phases = phases
        self._labels = labels
        self._most = rules.details_ids
        self._messenger = rules.messenger
        self._deployment = rules.deployments[0] if rules.deployments else "deployment-1"

    def query(self, call: Call) -> Response:
        """Return the conversations that pass the filters and were touched in the interval."""
        refused = self._not_permitted(call)
        if refused is not None:
            return refused
        try:
            asked = read(json_of(call))
        except QueryError as error:
            return error_responses.bad_request(call.correlation, str(error), "query")
        hits = [found.body for found in self._candidates(asked, call) if _fits(found, asked)]
        shown = page_of(hits, asked, lambda body: str(body["conversationStart"]))
        return response(200, {"conversations": shown, "totalHits": len(hits)})

    def details(self, call: Call) -> Response:
        """Return the conversations whose ids are asked for; one that is gone is left out."""
        refused = self._not_permitted(call)
        if refused is not None:
            return refused
        given = parse_qs(call.request.target.partition(b"?")[2].decode("ascii", "replace"))
        ids = [each for text in given.get("id", ()) for each in text.split(",") if each]
        if not 0 < len(ids) <= self._most:
            message = f"Give id, with at most {self._most} ids"
            return error_responses.bad_request(call.correlation, message, "query")
        shown = (self._found(each, call, checked=True) for each in dict.fromkeys(ids))
        return response(200, {"conversations": [each.body for each in shown if each is not None]})

    def _not_permitted(self, call: Call) -> Response | None:
        refused = genesys_refusals.unless_scope(call, _SCOPES)
        if refused is None and _PERMISSION not in self._estate.grants.permissions:
            return genesys_refusals.missing_permission(call, _PERMISSION)
        return refused

    def _candidates(self, asked: Query, call: Call) -> Iterator[ConversationDetails]:
        for conversation_id in dict.fromkeys(self._ids(asked)):
            found = self._found(conversation_id, call)
            if found is not None:
                yield found

    def _ids(self, asked: Query) -> Iterable[str]:
        ids = asked.values("conversationId")
        contacts, tags = asked.values("externalContactId"), asked.values("externalTag")
        if not (ids or contacts or tags):
            return self._estate.history.written()
        for contact in contacts:
            root = naming.of_contact(contact)
            ids += [] if root is None else [root]
            ids += self._estate.history.with_contact(contact)
        return [*ids, *(each for tag in tags for each in self._labels.tagged(tag))]

    def _found(
        self, conversation_id: str, call: Call, *, checked: bool = False
    ) -> ConversationDetails | None:
        world = self._estate.world
        look = world.check if checked else world.look
        view = look(conversation_id, call.now)
        sent = self._estate.history.messages(conversation_id, call.wall)
        ours = conversation_id.startswith(naming.NEW)
        if view is None or (ours and not sent):
            return None
        moment = self._phases.of(conversation_id, view, call.now)
        began = self._phases.began(conversation_id, sent[0].time if sent else None)
        still = moment.phase in (Phase.OPEN, Phase.UNKNOWN)
        end = None if still else moment.end
        sessions = [] if ours else [self._session(conversation_id, "inbound", began, end)]
        sessions += [self._outbound(conversation_id, message) for message in sent]
        there = [self._customer(conversation_id, view.external_contact_id, sessions)]
        if view.kind.on_the_line:
            there.append(self._talker(conversation_id, view.kind.on_the_line, began, end))
        return self._whole(conversation_id, began, end, there)

    def _whole(
        self, conversation_id: str, began: str, end: str | None, there: list[Json]
    ) -> ConversationDetails:
        direction = "outbound" if conversation_id.startswith(naming.NEW) else "inbound"
        tag = self._labels.tags.get(conversation_id)
        body: Json = {
            "conversationId": conversation_id,
            "conversationStart": began,
            "conversationInitiator": "api" if direction == "outbound" else "customer",
            "divisionIds": [DIVISION],
            "originatingDirection": direction,
            "participants": there,
        }
        body |= {} if end is None else {"conversationEnd": end}
        body |= {} if tag is None else {"externalTag": tag}
        rows = [_row(participant, session) for participant in there for session in _of(participant)]
        return ConversationDetails(body, {**body, "divisionId": DIVISION}, rows)

    def _session(self, conversation_id: str, direction: str, began: str, end: str | None) -> Json:
        root = naming.root(conversation_id)
        guest, deployment = naming.address(root), self._deployment
        inbound = direction == "inbound"
        segment: Json = {"segmentStart": began, "segmentType": "interact", "conference": False}
        if end is not None:
            segment |= {"segmentEnd": end, "disconnectType": "peer"}
        return {
            "sessionId": f"s-{direction}-{conversation_id}",
            "mediaType": "message",
            "messageType": self._messenger,
            "direction": direction,
            "addressFrom": guest if inbound else deployment,
            "addressTo": deployment if inbound else guest,
            "provider": "PureCloud Messaging",
            "segments": [segment],
            "metrics": [],
        }

    def _outbound(self, conversation_id: str, message: ArchivedMessage) -> Json:
        """Return the session of one message: its time is all that is shown of it."""
        time = iso(message.time)
        session = self._session(conversation_id, "outbound", time, time)
        session["sessionId"] = f"s-{message.message_id}"
        session["metrics"] = [{"emitDate": time, "name": "nOutbound", "value": 1}]
        return session

    def _customer(self, conversation_id: str, contact: str | None, sessions: list[Json]) -> Json:
        customer: Json = {
            "participantId": participant_id(conversation_id, "customer"),
            "purpose": "customer",
            "sessions": sessions,
        }
        return customer if contact is None else {**customer, "externalContactId": contact}

    def _talker(self, conversation_id: str, who: str, began: str, end: str | None) -> Json:
        return {
            "participantId": participant_id(conversation_id, who),
            "purpose": "botflow" if who == "bot" else who,
            "sessions": [self._session(conversation_id, "inbound", began, end)],
        }


def _fits(found: ConversationDetails, asked: Query) -> bool:
    if not all(each.holds(found.conversation) for each in asked.conversation):
        return False
    if not passes(asked.segment, found.sessions):
        return False
    since, until = iso(asked.since), iso(asked.until)
    return any(
        str(row["start"]) < until and (row["end"] is None or str(row["end"]) >= since)
        for row in found.sessions
    )


def _of(participant: Json) -> list[Json]:
    sessions = participant["sessions"]
    return sessions if isinstance(sessions, list) else []


def _row(participant: Json, session: Json) -> Mapping[str, object]:
    segments = session["segments"]
    first: Json = segments[0] if isinstance(segments, list) else {}
    who = {name: participant.get(name) for name in ("externalContactId", "purpose")}
    return {**session, **who, "start": first["segmentStart"], "end": first.get("segmentEnd")}
