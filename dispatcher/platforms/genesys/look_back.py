"""The look back of the `genesys` dialect: finds conversations in analytics, then reads each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from dispatcher.domain.ids import canonical_id, same_id
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.platforms.api_client import ApiClient, BackgroundClient
from dispatcher.platforms.genesys.analytics_records import Trace
from dispatcher.platforms.genesys.look_back_requests import LookBackRequests, RequestFailedError
from dispatcher.platforms.genesys.requests import by_conversation, by_person
from dispatcher.platforms.genesys.responses import (
    address,
    latest_customer,
    messages,
    person,
    unread_times,
)
from dispatcher.platforms.genesys.watermark import (
    AHEAD_SECONDS,
    LONGEST_SECONDS,
    OnNoEvidence,
    Watermark,
    WatermarkReader,
)
from dispatcher.platforms.response_parsing import listed
from dispatcher.ports import Clock, LookBackQuery, Reply, WatermarkQuery

MOST_INTERVALS = 18
"""Maximum number of intervals of one look back; a longer one has no result."""
MOST_READS = 200
"""Maximum number of conversations that one look back reads; with more it has no result."""
LAG_SECONDS = 2.0
"""How long after its conversation's newest trace in analytics a message counts as shown there:
a conversation begins a moment before its first message."""


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
        self, caller: ApiClient, background: BackgroundClient, from_address: str, clock: Clock,
        on_no_evidence: OnNoEvidence,
    ) -> None:  # fmt: skip
        self._caller = caller
        self._background = background
        self._from = from_address
        self._clock = clock
        self._watermark = WatermarkReader(caller.now, on_no_evidence)

    async def look_back(
        self, queries: Sequence[LookBackQuery], watermark: WatermarkQuery | None = None
    ) -> Reply:
        """See `dispatcher.ports.Platform.look_back`."""
        requests = LookBackRequests(self._caller, self._background, self._caller.token())
        start = self._clock.monotonic()
        try:
            reply = await self._look(requests, queries, watermark)
        except RequestFailedError as failed:
            reply = failed.reply
        seconds = self._clock.monotonic() - start
        return replace(reply, seconds=seconds, reading=requests.first_reading)

    async def _look(
        self, requests: LookBackRequests, queries: Sequence[LookBackQuery],
        watermark: WatermarkQuery | None,
    ) -> Reply:  # fmt: skip
        # first: what is read afterwards is at least as complete
        known = await self._watermark.read(requests, watermark) if watermark else Watermark()
        people = [query.external_contact_id for query in queries]
        named = list(dict.fromkeys(canonical_id(id_) for id_ in people if id_ is not None))
        ids = list(dict.fromkeys(canonical_id(query.conversation_id) for query in queries))
        traces: dict[str, Trace] = {}
        intervals = list(self._intervals(queries))
        for interval in intervals:
            traces |= await requests.traces(partial(by_conversation, ids, *interval))
            if named:
                traces |= await requests.traces(partial(by_person, named, *interval))
            if len(intervals) > MOST_INTERVALS:
                raise RequestFailedError(requests.no_result())
        traces = {id_: trace for id_, trace in traces.items() if trace.messaging}
        if len(traces) > MOST_READS:
            raise RequestFailedError(requests.no_result())
        history = [await self._past(requests, id_, trace) for id_, trace in traces.items()]
        if requests.forbidden is not None and not any(past.readable for past in history):
            raise RequestFailedError(requests.forbidden)
        self._watermark.confirm_refusals()
        return requests.reply(tuple(history), *known)

    async def _past(self, requests: LookBackRequests, id_: str, trace: Trace) -> PastConversation:
        body = await requests.conversation(id_)
        if body is None:  # it exists in analytics, but its messages cannot be read
            return PastConversation(id_, None, trace.person, has_previous=False, readable=False)
        participants = listed(body, "participants")
        customer = latest_customer(participants)
        who = None if self._is_foreign(customer) else person(customer) or trace.person
        shown = messages(participants, trace.until + LAG_SECONDS)
        unread = unread_times(participants)
        return PastConversation(id_, None, who, shown, has_previous=False, unread=unread)

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
