"""The requests of one look back of the `genesys` dialect."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import orjson

from dispatcher.domain.answer import Answer, QuotaReading
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.platforms.access_token import AccessToken
from dispatcher.platforms.api_client import ApiClient, BackgroundClient
from dispatcher.platforms.genesys.analytics_records import Trace, read_traces
from dispatcher.platforms.genesys.requests import MESSAGES_PATH, PAGE_SIZE, QUERY_PATH
from dispatcher.platforms.genesys.responses import parse_failure
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.response_parsing import Body, correlation, listed, path_part
from dispatcher.ports import Reply

MOST_PAGES = 10

_OUT_OF_SIGHT = frozenset({400, 403, 404, 410})
"""Answers about a conversation that is of another kind, in another division, or gone."""


class RequestFailedError(Exception):
    """A request had no usable result; the reply says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class LookBackRequests:
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
            return await self.body("GET", f"{MESSAGES_PATH}/{path_part(id_)}", None)
        except RequestFailedError as failed:
            result = failed.reply.result
            if not isinstance(result, Answer) or not result.from_platform:
                raise
            if result.status not in _OUT_OF_SIGHT:
                raise
            if result.status == 403:  # noqa: PLR2004 - HTTP's "forbidden"
                self.forbidden = failed.reply
            return None

    async def body(self, method: str, target: str, data: bytes | None) -> Body:
        """Make one request and return the body of its success.

        Raises:
            RequestFailedError: it had no usable result.

        """
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
        raise RequestFailedError(reply)

    async def traces(self, query: Callable[[int], dict[str, object]]) -> dict[str, Trace]:
        """Return what all pages of a query show, by conversation."""
        found: dict[str, Trace] = {}
        for page in range(1, MOST_PAGES + 1):
            body = await self.body("POST", QUERY_PATH, orjson.dumps(query(page)))
            rows = listed(body, "conversations")
            found.update(read_traces(rows))
            if _is_last(body, rows, page):
                return found
        raise RequestFailedError(self.no_result())

    def no_result(self) -> Reply:
        """Return a reply without conversations: there are too many to read."""
        return self.reply(None)

    def reply(
        self, shown: tuple[PastConversation, ...] | None,
        newest_record: float | None = None, complete_until: float | None = None,
    ) -> Reply:  # fmt: skip
        """Return the reply of the whole look back, based on the last answer."""
        if self._last is None or not isinstance(self._last.result, Answer):
            raise AssertionError("a look back without an answer")
        answer = replace(
            self._last.result, status=200, from_platform=True, past_conversations=shown,
            newest_record=newest_record, complete_until=complete_until,
        )  # fmt: skip
        return replace(self._last, result=answer)


def _is_last(body: Body, rows: Sequence[object], page: int) -> bool:
    total = body.get("totalHits")
    if isinstance(total, int) and rows:
        return page * PAGE_SIZE >= total
    return len(rows) < PAGE_SIZE
