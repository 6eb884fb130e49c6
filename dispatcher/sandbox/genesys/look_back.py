"""Looking back in the dialect ``genesys``: analytics show sessions and times, never texts."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from dispatcher.sandbox.dialect import Call, DialectContext
from dispatcher.sandbox.genesys.analytics_query import (
    AnalyticsRow,
    Query,
    QueryError,
    page_of,
    passes,
    read,
)
from dispatcher.sandbox.genesys.labels import Labels, participant_id
from dispatcher.sandbox.genesys.refusals import missing_access
from dispatcher.sandbox.genesys.threading_window import Phase, ThreadingWindow
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.request_body import body_object
from dispatcher.sandbox.scenario.model import GenesysRules
from dispatcher.sandbox.scenario.value_types import DIVISION
from dispatcher.sandbox.world.ids import NEW, address, root_of_contact
from dispatcher.sandbox.world.message_archive import ArchivedMessage
from dispatcher.sandbox.world.timestamps import iso

_SCOPES = ("analytics:readonly", "analytics")
_PERMISSION = "analytics:conversationDetail:view"

Json = dict[str, Any]


class ConversationDetails(NamedTuple):
    """One conversation as analytics show it, and the rows that filters compare."""

    body: Json
    conversation: AnalyticsRow
    sessions: list[AnalyticsRow]


class AnalyticsEndpoint:
    """Answers the calls that read details of conversations, or up to when these are complete."""

    def __init__(
        self, context: DialectContext, window: ThreadingWindow, labels: Labels,
        rules: GenesysRules, availability_lag: float,
    ) -> None:  # fmt: skip
        self._context = context
        self._window = window
        self._labels = labels
        self._rules = rules
        self._availability_lag = availability_lag

    def query(self, call: Call) -> Response:
        """Return the conversations that pass the filters and were active in the interval."""
        refused = missing_access(call, self._context.grants, _SCOPES, _PERMISSION)
        if refused is not None:
            return refused
        try:
            query = read(body_object(call))
        except QueryError as error:
            return error_responses.bad_request(call.correlation, str(error), "query")
        candidates = [
            *(self._details(key, call) for key in dict.fromkeys(self._ids(query))),
            *self._others(query, call),
        ]
        hits = [item.body for item in candidates if item is not None and _matches(item, query)]
        page = page_of(hits, query, lambda body: str(body["conversationStart"]))
        return response(200, {"conversations": page, "totalHits": len(hits)})

    def availability(self, call: Call) -> Response:
        """Return up to when the records are complete (source: the SDK's AnalyticsApi)."""
        refused = missing_access(call, self._context.grants, _SCOPES, _PERMISSION)
        date = iso(call.wall - self._availability_lag)
        return refused or response(200, {"dataAvailabilityDate": date})

    def details(self, call: Call) -> Response:
        """Return the conversations with the requested ids, without those that are gone."""
        refused = missing_access(call, self._context.grants, _SCOPES, _PERMISSION)
        if refused is not None:
            return refused
        fields = parse_qs(call.request.target.partition(b"?")[2].decode("ascii", "replace"))
        ids = [key for text in fields.get("id", ()) for key in text.split(",") if key]
        if not 0 < len(ids) <= self._rules.details_ids:
            message = f"Give id, with at most {self._rules.details_ids} ids"
            return error_responses.bad_request(call.correlation, message, "query")
        found = (self._details(key, call, checks=1) for key in dict.fromkeys(ids))
        return response(200, {"conversations": [item.body for item in found if item is not None]})

    def _ids(self, query: Query) -> list[str]:
        """Return the conversations that the query can match."""
        ids = query.values("conversationId")
        contacts, tags = query.values("externalContactId"), query.values("externalTag")
        if not (ids or contacts or tags):
            since = query.since - self._context.traffic.answers_last_seconds
            return self._context.archive.conversations(since)
        for contact in contacts:
            root = root_of_contact(contact)
            ids += [] if root is None else [root]
            ids += self._context.archive.with_contact(contact)
        for tag in tags:
            ids += self._labels.tagged(tag)
        return ids

    def _others(self, query: Query, call: Call) -> Iterator[ConversationDetails]:
        """Yield the conversations of other people: no filter for an id or a person matches one."""
        for other in self._context.traffic.others(query.since, query.until, call.wall):
            began = iso(other.began)
            ended = None if other.ended is None else iso(other.ended)
            session = self._session(other.conversation_id, "inbound", began, ended)
            customer = _participant(other.conversation_id, "customer", "customer", [session])
            body = self._body(other.conversation_id, began, ended, [customer])
            yield ConversationDetails(
                body, {**body, "divisionId": DIVISION}, [_row(customer, session)]
            )

    def _details(
        self, conversation_id: str, call: Call, *, checks: int = 0
    ) -> ConversationDetails | None:
        view = self._context.world.look(conversation_id, call.now, checks=checks)
        messages = self._context.archive.messages(conversation_id, call.wall)
        opened_by_us = conversation_id.startswith(NEW)
        if view is None or (opened_by_us and not messages):
            return None
        state = self._window.state(conversation_id, view, call.now)
        began = self._window.began(conversation_id, messages)
        end = None if state.phase in (Phase.OPEN, Phase.UNKNOWN) else state.end
        inbound = self._session(conversation_id, "inbound", began, end)
        answers = self._context.traffic.shown_answers(conversation_id, call.wall)
        inbound["metrics"] += [
            {"emitDate": iso(answer.time), "name": "nInbound", "value": 1} for answer in answers
        ]
        sessions = [] if opened_by_us else [inbound]
        sessions += [self._outbound(conversation_id, message) for message in messages]
        contact = view.external_contact_id
        customer = _participant(conversation_id, "customer", "customer", sessions)
        customer |= {} if contact is None else {"externalContactId": contact}
        participants = [customer]
        if purpose := view.kind.on_the_line:
            shown = "botflow" if purpose == "bot" else purpose
            participants.append(_participant(conversation_id, purpose, shown, [inbound]))
        body = self._body(conversation_id, began, end, participants)
        rows = [
            _row(participant, session)
            for participant in participants
            for session in participant["sessions"]
        ]
        return ConversationDetails(body, {**body, "divisionId": DIVISION}, rows)

    def _body(
        self, conversation_id: str, began: str, end: str | None, participants: list[Json]
    ) -> Json:
        opened_by_us = conversation_id.startswith(NEW)
        tag = self._labels.tags.get(conversation_id)
        body: Json = {
            "conversationId": conversation_id,
            "conversationStart": began,
            "conversationInitiator": "api" if opened_by_us else "customer",
            "divisionIds": [DIVISION],
            "originatingDirection": "outbound" if opened_by_us else "inbound",
            "participants": participants,
        }
        body |= {} if end is None else {"conversationEnd": end}
        return body if tag is None else {**body, "externalTag": tag}

    def _session(self, conversation_id: str, direction: str, began: str, end: str | None) -> Json:
        addresses = address(conversation_id), self._rules.deployment
        sender, recipient = addresses if direction == "inbound" else reversed(addresses)
        segment: Json = {"segmentStart": began, "segmentType": "interact", "conference": False}
        if end is not None:
            segment |= {"segmentEnd": end, "disconnectType": "peer"}
        return {
            "sessionId": f"s-{direction}-{conversation_id}",
            "mediaType": "message",
            "messageType": self._rules.messenger,
            "direction": direction,
            "addressFrom": sender,
            "addressTo": recipient,
            "provider": "PureCloud Messaging",
            "segments": [segment],
            "metrics": [],
        }

    def _outbound(self, conversation_id: str, message: ArchivedMessage) -> Json:
        """Return the session of one message, which shows its time alone."""
        time = iso(message.time)
        session = self._session(conversation_id, "outbound", time, time)
        session["sessionId"] = f"s-{message.message_id}"
        session["metrics"] = [{"emitDate": time, "name": "nOutbound", "value": 1}]
        return session


def _participant(conversation_id: str, name: str, purpose: str, sessions: list[Json]) -> Json:
    own_id = participant_id(conversation_id, name)
    return {"participantId": own_id, "purpose": purpose, "sessions": sessions}


def _matches(details: ConversationDetails, query: Query) -> bool:
    if not all(condition.holds(details.conversation) for condition in query.conversation):
        return False
    if not passes(query.segment, details.sessions):
        return False
    since, until = iso(query.since), iso(query.until)
    return any(
        row["start"] < until and (row["end"] is None or row["end"] >= since)
        for row in details.sessions
    )


def _row(participant: Json, session: Json) -> AnalyticsRow:
    segment = session["segments"][0]
    return {
        **session,
        "externalContactId": participant.get("externalContactId"),
        "purpose": participant["purpose"],
        "start": segment["segmentStart"],
        "end": segment.get("segmentEnd"),
    }
