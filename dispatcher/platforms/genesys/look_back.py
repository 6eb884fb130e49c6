"""The look back of the `genesys` dialect: analytics find conversations, each tells its messages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson

from dispatcher.domain.answer import Answer, QuotaReading
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.platforms.api_client import ApiClient, BackgroundClient
from dispatcher.platforms.genesys.requests import (
    MESSAGES_PATH,
    PAGE_SIZE,
    QUERY_PATH,
    by_conversation,
    by_person,
)
from dispatcher.platforms.genesys.responses import (
    CUSTOMER,
    address,
    latest_customer,
    messages,
    not_taken,
    person,
)
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.response_parsing import (
    Body,
    correlation,
    is_path_part,
    listed,
    moment,
    path_part,
    text,
)
from dispatcher.platforms.token import AccessToken
from dispatcher.ports import Clock, LookBackQuery, Reply

LONGEST_SECONDS = 31 * 86_400.0
"""The longest interval that is asked for at once; what goes back further takes several."""
MOST_INTERVALS = 18
"""How many intervals one look back asks for; of what goes back further it tells nothing."""
AHEAD_SECONDS = 60.0
"""How far beyond now the interval goes, for a clock that is behind the platform's."""
MOST_PAGES = 10
MOST_READS = 200
"""Conversations that one look back reads; where there are more it tells nothing."""
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
    """What analytics show of a conversation; ``until`` is their newest moment in it.

    Without ``messaging`` it is a call, or something else that has no messages.
    """

    until: float
    person: str | None
    messaging: bool


class _FailedError(Exception):
    """A request told nothing; the reply says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class GenesysLookBack:
    """Asks one or two queries, and then each conversation that they show.

    Every person is asked for, not only those who were to get a new conversation: a message into
    an open one finds itself in a new one if that closed on its way.

    Analytics know conversations, not messages; conversations know their messages, without the
    texts. Only what analytics show is read, so that nothing seems to have caught up that has not.
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

    async def look_back(self, asked: Sequence[LookBackQuery]) -> Reply:
        """See `dispatcher.ports.Platform.look_back`."""
        requests = _Requests(self._caller, self._background, self._caller.token())
        start = self._clock.monotonic()
        try:
            reply = await self._look(requests, asked)
        except _FailedError as failed:
            reply = failed.reply
        seconds = self._clock.monotonic() - start
        return replace(reply, seconds=seconds, reading=requests.first_reading)

    async def _look(self, requests: "_Requests", asked: Sequence[LookBackQuery]) -> Reply:
        people = [each.external_contact_id for each in asked]
        named = list(dict.fromkeys(each for each in people if each is not None))
        ids = list(dict.fromkeys(each.conversation_id for each in asked))
        traces: dict[str, _Trace] = {}
        intervals = list(self._intervals(asked))
        for interval in intervals:
            traces |= await requests.traces(partial(by_conversation, ids, *interval))
            if named:
                traces |= await requests.traces(partial(by_person, named, *interval))
            if len(intervals) > MOST_INTERVALS:
                raise _FailedError(requests.nothing())
        traces = {id_: trace for id_, trace in traces.items() if trace.messaging}
        if len(traces) > MOST_READS:
            raise _FailedError(requests.nothing())
        history = [await self._past(requests, id_, trace) for id_, trace in traces.items()]
        if requests.forbidden is not None and not any(each.readable for each in history):
            raise _FailedError(requests.forbidden)
        return requests.told(tuple(history))

    async def _past(self, requests: "_Requests", id_: str, trace: _Trace) -> PastConversation:
        body = await requests.conversation(id_)
        if body is None:  # what analytics show was there: nobody knows what was said in it
            return PastConversation(id_, None, trace.person, has_previous=False, readable=False)
        participants = listed(body, "participants")
        customer = latest_customer(participants)
        who = None if self._is_foreign(customer) else person(customer) or trace.person
        shown = messages(participants, trace.until + LAG_SECONDS)
        return PastConversation(id_, None, who, shown, has_previous=False)

    def _is_foreign(self, customer: object) -> bool:
        """Tell whether a conversation is with another sender than ours: it proves nothing."""
        ends = {address(customer, "fromAddress"), address(customer, "toAddress")}
        return None not in ends and self._from not in ends

    def _intervals(self, asked: Sequence[LookBackQuery]) -> Iterator[tuple[float, float]]:
        """Yield intervals that reach, without a gap, from what matters until now."""
        now = self._caller.now()
        since, end = min(now, *(each.since for each in asked)), now + AHEAD_SECONDS
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
        """Return what a conversation tells of itself; None where it is not shown."""
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
                return not_taken(exchange)
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
        raise _FailedError(self.nothing())

    def nothing(self) -> Reply:
        """Return that there is too much to be read: nothing can be said."""
        return self.told(None)

    def told(self, shown: tuple[PastConversation, ...] | None) -> Reply:
        """Return the reply of the whole, as the last answer has it."""
        if self._last is None or not isinstance(self._last.result, Answer):
            raise AssertionError("told without an answer")
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
        id_ = text(row, "conversationId")
        if id_ is not None and is_path_part(id_):
            until = max(_moments(row), default=float("-inf"))
            yield id_, _Trace(until, _person(row), _is_messaging(row))


def _is_messaging(row: object) -> bool:
    """Tell whether a conversation may have messages; only what says its media may have none."""
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
    people = (
        text(each, "externalContactId")
        for each in listed(row, "participants")
        if text(each, "purpose") == CUSTOMER
    )
    return next((each for each in people if each is not None), None)
