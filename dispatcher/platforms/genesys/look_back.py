"""The look back of the `genesys` dialect: finds conversations in analytics, then reads each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson

from dispatcher.domain.answer import Answer, QuotaReading
from dispatcher.domain.ids import canonical_id, same_id
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.platforms.access_token import AccessToken
from dispatcher.platforms.api_client import ApiClient, BackgroundClient
from dispatcher.platforms.genesys.requests import (
    MESSAGES_PATH,
    PAGE_SIZE,
    QUERY_PATH,
    by_conversation,
    by_person,
)
from dispatcher.platforms.genesys.responses import (
    address,
    customers,
    latest_customer,
    messages,
    parse_failure,
    person,
)
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.response_parsing import (
    Body,
    correlation,
    id_text,
    is_path_part,
    listed,
    moment,
    path_part,
    text,
)
from dispatcher.ports import Clock, LookBackQuery, Reply

LONGEST_SECONDS = 31 * 86_400.0
"""The longest interval of one query; a longer look back takes several."""
MOST_INTERVALS = 18
"""Maximum number of intervals of one look back; a longer one has no result."""
AHEAD_SECONDS = 60.0
"""How far the interval extends beyond now, because the clock may be behind the platform's."""
MOST_PAGES = 10
MOST_READS = 200
"""Maximum number of conversations that one look back reads; with more it has no result."""
LAG_SECONDS = 2.0
"""How long after its conversation's newest trace in analytics a message counts as shown there:
a conversation begins a moment before its first message."""


_WITHOUT_MESSAGES = frozenset(
    {"callback", "cobrowse", "email", "screenmonitoring", "screenshare", "video", "voice"}
)
"""Media of sessions that hold no message of a messenger (source: the SDK's model of a session)."""


_OUT_OF_SIGHT = frozenset({400, 403, 404, 410})
"""Answers about a conversation that is of another kind, in another division, or gone."""


@dataclass(frozen=True, slots=True)
class _Trace:
    """A conversation in analytics; ``until`` is the newest time in its record.

    Without ``messaging`` it is a call, or another kind without messages.
    """

    until: float
    person: str | None
    messaging: bool


class _FailedError(Exception):
    """A request had no usable result; the reply says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class GenesysLookBack:
    """Makes one or two queries, and then reads each conversation that they return.

    The queries include the people of notifications, too: if the open conversation closes before
    the message arrives, the message is put into a new one.

    Analytics have conversations without messages. A conversation has its messages without texts.
    Only conversations in analytics are read, so that analytics do not seem more complete.
    The permit of the look back is for its first request; the others wait for permits of their
    own. One that fails makes the whole look back fail; nothing is concluded from a part.
    """

    def __init__(
        self, caller: ApiClient, background: BackgroundClient, from_address: str, clock: Clock
    ) -> None:
        self._caller = caller
        self._background = background
        self._from = from_address
        self._clock = clock

    async def look_back(self, queries: Sequence[LookBackQuery]) -> Reply:
        """See `dispatcher.ports.Platform.look_back`."""
        requests = _Requests(self._caller, self._background, self._caller.token())
        start = self._clock.monotonic()
        try:
            reply = await self._look(requests, queries)
        except _FailedError as failed:
            reply = failed.reply
        seconds = self._clock.monotonic() - start
        return replace(reply, seconds=seconds, reading=requests.first_reading)

    async def _look(self, requests: "_Requests", queries: Sequence[LookBackQuery]) -> Reply:
        people = [query.external_contact_id for query in queries]
        named = list(dict.fromkeys(canonical_id(id_) for id_ in people if id_ is not None))
        ids = list(dict.fromkeys(canonical_id(query.conversation_id) for query in queries))
        traces: dict[str, _Trace] = {}
        intervals = list(self._intervals(queries))
        for interval in intervals:
            traces |= await requests.traces(partial(by_conversation, ids, *interval))
            if named:
                traces |= await requests.traces(partial(by_person, named, *interval))
            if len(intervals) > MOST_INTERVALS:
                raise _FailedError(requests.no_result())
        traces = {id_: trace for id_, trace in traces.items() if trace.messaging}
        if len(traces) > MOST_READS:
            raise _FailedError(requests.no_result())
        history = [await self._past(requests, id_, trace) for id_, trace in traces.items()]
        if requests.forbidden is not None and not any(past.readable for past in history):
            raise _FailedError(requests.forbidden)
        return requests.reply(tuple(history))

    async def _past(self, requests: "_Requests", id_: str, trace: _Trace) -> PastConversation:
        body = await requests.conversation(id_)
        if body is None:  # it exists in analytics, but its messages cannot be read
            return PastConversation(id_, None, trace.person, has_previous=False, readable=False)
        participants = listed(body, "participants")
        customer = latest_customer(participants)
        who = None if self._is_foreign(customer) else person(customer) or trace.person
        shown = messages(participants, trace.until + LAG_SECONDS)
        return PastConversation(id_, None, who, shown, has_previous=False)

    def _is_foreign(self, customer: object) -> bool:
        """Return True if a conversation is with another sender, so that it proves nothing."""
        ends = {address(customer, "fromAddress"), address(customer, "toAddress")}
        return None not in ends and not any(same_id(self._from, end) for end in ends)

    def _intervals(self, queries: Sequence[LookBackQuery]) -> Iterator[tuple[float, float]]:
        """Yield intervals without gaps, from the earliest time of a query until now."""
        now = self._caller.now()
        since, end = min(now, *(query.since for query in queries)), now + AHEAD_SECONDS
        while since < end:
            until = min(since + LONGEST_SECONDS, end)
            yield since, until
            since = until


class _Requests:
    """The requests of one look back, all with one token."""

    def __init__(self, caller: ApiClient, background: BackgroundClient, token: AccessToken) -> None:
        self._caller: ApiClient | BackgroundClient = caller
        self._background = background
        self._token = token
        self._last: Reply | None = None
        self.first_reading: QuotaReading | None = None
        """The count in the answer to the request that has the permit of the look back."""
        self.forbidden: Reply | None = None
        """The last refusal to show a conversation; it may be meant for that one alone."""

    async def conversation(self, id_: str) -> Body | None:
        """Return a conversation with its messages; None if the platform does not show it."""
        try:
            return await self._body("GET", f"{MESSAGES_PATH}/{path_part(id_)}", None)
        except _FailedError as failed:
            result = failed.reply.result
            if not isinstance(result, Answer) or not result.from_platform:
                raise
            if result.status not in _OUT_OF_SIGHT:
                raise
            if result.status == 403:  # noqa: PLR2004 - HTTP's "forbidden"
                self.forbidden = failed.reply
            return None

    async def _body(self, method: str, target: str, data: bytes | None) -> Body:
        taken: list[Body] = []

        def read(exchange: HttpResponse) -> Answer:
            if exchange.body is None or exchange.status // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
                return parse_failure(exchange)
            taken.append(exchange.body)
            return Answer(exchange.status, from_platform=True, correlation_id=correlation(exchange))

        reply = await self._caller.call(method, target, data, read, self._token)
        if self._last is None:
            self.first_reading, self._caller = reply.reading, self._background
        self._last = reply
        if taken:
            return taken[0]
        raise _FailedError(reply)

    async def traces(self, query: Callable[[int], dict[str, object]]) -> dict[str, _Trace]:
        """Return what all pages of a query show, by conversation."""
        found: dict[str, _Trace] = {}
        for page in range(1, MOST_PAGES + 1):
            body = await self._body("POST", QUERY_PATH, orjson.dumps(query(page)))
            rows = listed(body, "conversations")
            found.update(_traces(rows))
            if _is_last(body, rows, page):
                return found
        raise _FailedError(self.no_result())

    def no_result(self) -> Reply:
        """Return a reply without conversations: there are too many to read."""
        return self.reply(None)

    def reply(self, shown: tuple[PastConversation, ...] | None) -> Reply:
        """Return the reply of the whole look back, based on the last answer."""
        if self._last is None or not isinstance(self._last.result, Answer):
            raise AssertionError("a look back without an answer")
        answer = replace(
            self._last.result, status=200, from_platform=True, past_conversations=shown
        )
        return replace(self._last, result=answer)


def _is_last(body: Body, rows: Sequence[object], page: int) -> bool:
    total = body.get("totalHits")
    if isinstance(total, int) and rows:
        return page * PAGE_SIZE >= total
    return len(rows) < PAGE_SIZE


def _traces(rows: Sequence[object]) -> Iterator[tuple[str, _Trace]]:
    for row in rows:
        id_ = id_text(row, "conversationId")
        if id_ is not None and is_path_part(id_):
            until = max(_moments(row), default=float("-inf"))
            yield id_, _Trace(until, _person(row), _is_messaging(row))


def _is_messaging(row: object) -> bool:
    """Return True if a conversation may have messages: at least one of its media can, if known."""
    media = {
        text(session, "mediaType")
        for participant in listed(row, "participants")
        for session in listed(participant, "sessions")
    }
    return not media or not media <= _WITHOUT_MESSAGES


def _moments(row: object) -> Iterator[float]:
    """Yield every moment that analytics show in a conversation."""
    yield from _those(row, "conversationStart", "conversationEnd")
    for participant in listed(row, "participants"):
        for session in listed(participant, "sessions"):
            for segment in listed(session, "segments"):
                yield from _those(segment, "segmentStart", "segmentEnd")
            for metric in listed(session, "metrics"):
                yield from _those(metric, "emitDate")


def _those(value: object, *keys: str) -> Iterator[float]:
    for key in keys:
        at = moment(value, key)
        if at is not None:
            yield at


def _person(row: object) -> str | None:
    people = (id_text(part, "externalContactId") for part in customers(listed(row, "participants")))
    return next((person for person in people if person is not None), None)
