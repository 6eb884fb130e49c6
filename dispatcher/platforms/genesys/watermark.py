"""Up to when the analytics of the `genesys` dialect are complete: newest record, own statement."""

from collections.abc import Callable
from typing import NamedTuple

import orjson

from dispatcher.domain.answer import Answer
from dispatcher.platforms.genesys.analytics_records import newest_moment
from dispatcher.platforms.genesys.look_back_requests import LookBackRequests, RequestFailedError
from dispatcher.platforms.genesys.requests import AVAILABILITY_PATH, QUERY_PATH, newest_records
from dispatcher.platforms.response_parsing import Body, listed, moment
from dispatcher.ports import WatermarkQuery

LONGEST_SECONDS = 31 * 86_400.0
"""The longest interval of one query."""
AHEAD_SECONDS = 60.0
"""How far an interval extends beyond now, because the clock may be behind the platform's."""

_REFUSALS = frozenset({400, 403, 404, 405, 410, 501})
"""Answers that say that a call does not exist here, or that the client may not make it."""
_UNAUTHORIZED = 401

OnNoEvidence = Callable[[str, str], None]
"""Called with a path that the platform refuses, and the reason."""


class Watermark(NamedTuple):
    """What `dispatcher.domain.answer.Answer` calls by the same names; None: not known."""

    newest_record: float | None = None
    complete_until: float | None = None


class WatermarkReader:
    """Asks for the newest record of any conversation, and for the platform's statement.

    A look back works without both, so nothing halts or fails where they are not available. What
    the platform refuses, although it answers the look back itself, is reported once and not asked
    for again in this run.
    """

    def __init__(self, now: Callable[[], float], on_refused: OnNoEvidence) -> None:
        self._now = now
        self._on_refused = on_refused
        self._refused: set[str] = set()
        self._unconfirmed: dict[str, str] = {}

    async def read(self, requests: LookBackRequests, query: WatermarkQuery) -> Watermark:
        """Make one request or two; the statement is read if the newest record proves nothing."""
        self._unconfirmed.clear()
        newest = await self._newest(requests, query.after) if query.records else None
        if not query.availability or (newest is not None and newest > query.after):
            return Watermark(newest)
        return Watermark(newest, await self._stated(requests))

    def confirm_refusals(self) -> None:
        """Report what was refused, and never ask for it again: the look back has a result.

        Without one the refusal may mean a grant that the client lacks only now.
        """
        for path, reason in self._unconfirmed.items():
            self._on_refused(path, reason)
        self._refused.update(self._unconfirmed)
        self._unconfirmed.clear()

    async def _newest(self, requests: LookBackRequests, after: float) -> float | None:
        now = self._now()
        interval = max(after, now + AHEAD_SECONDS - LONGEST_SECONDS), now + AHEAD_SECONDS
        query = orjson.dumps(newest_records(*interval))
        body = await self._ask(requests, "POST", QUERY_PATH, query)
        return None if body is None else newest_moment(listed(body, "conversations"), self._now())

    async def _stated(self, requests: LookBackRequests) -> float | None:
        """Return up to when the platform states its records to be complete.

        Source: the SDK's model DataAvailabilityResponse, ``dataAvailabilityDate``.
        """
        body = await self._ask(requests, "GET", AVAILABILITY_PATH, None)
        at = None if body is None else moment(body, "dataAvailabilityDate")
        return at if at is not None and at <= self._now() else None

    async def _ask(
        self, requests: LookBackRequests, method: str, path: str, data: bytes | None
    ) -> Body | None:
        """Return the body of a success; None if there is none now, or if the call is refused."""
        if path in self._refused:
            return None
        try:
            return await requests.body(method, path, data)
        except RequestFailedError as failed:
            result = failed.reply.result
            if isinstance(result, Answer) and result.status == _UNAUTHORIZED:
                raise
            if isinstance(result, Answer) and result.status in _REFUSALS:
                self._unconfirmed[path] = f"{result.status} {result.words}".strip()
            return None
