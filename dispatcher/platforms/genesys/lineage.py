"""Writes lineage to the platform: into a new conversation, the id of the previous one."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import orjson

from dispatcher.domain.answer import Answer
from dispatcher.domain.ids import same_id
from dispatcher.platforms.api_client import BackgroundClient
from dispatcher.platforms.genesys.requests import (
    CONVERSATIONS_PATH,
    MESSAGES_PATH,
    Lineage,
    attributes,
    tag,
)
from dispatcher.platforms.genesys.responses import latest_customer, parse_failure
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.response_parsing import Body, is_path_part, listed, text
from dispatcher.ports import Reply, TokenExpiredError

MAX_QUEUED = 1000
"""Maximum number of queued conversations; the lineage of further ones is lost."""
MAX_TRIES = 3
PAUSE_SECONDS = 1.0
"""Pause before another try, if the platform asks for no longer one."""
LONGEST_PAUSE_SECONDS = 60.0
DRAIN_SECONDS = 5.0
"""How long the end of a run waits for queued lineage."""

OnLineageLost = Callable[[str, str], None]
"""Called with a conversation whose lineage was not written, and the reason."""


class LineageWriter:
    """Writes to one conversation after the other, in the background and without guarantee.

    The ledger has the lineage in any case; no send and no settle waits for this. It takes one
    request for a tag, two for attributes.
    """

    def __init__(self, caller: BackgroundClient, how: Lineage, lost: OnLineageLost) -> None:
        self._caller = caller
        self._write = {"external-tag": self._tag, "attributes": self._attributes}.get(how)
        self._lost = lost
        self._waiting: deque[tuple[str, str]] = deque()
        self._task: asyncio.Task[None] | None = None

    def note(self, previous: str | None, conversation_id: str | None) -> None:
        """Queue that ``conversation_id`` continues ``previous``, if they differ."""
        if self._write is None or previous is None or conversation_id is None:
            return
        if same_id(conversation_id, previous):
            return
        if len(self._waiting) >= MAX_QUEUED or not is_path_part(conversation_id):
            self._lost(conversation_id, "too many writes are waiting")
            return
        self._waiting.append((conversation_id, previous))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is queued, for a few seconds; the rest is lost."""
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=DRAIN_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for conversation_id, _ in self._waiting:
            self._lost(conversation_id, "the run ended")
        self._waiting.clear()

    async def _run(self) -> None:
        while self._waiting:
            conversation_id, previous = self._waiting[0]
            why = await self._try(conversation_id, previous)
            self._waiting.popleft()
            if why:
                self._lost(conversation_id, why)

    async def _try(self, conversation_id: str, previous: str) -> str:
        """Return why it was not written; empty if it was."""
        why = ""
        for number in range(MAX_TRIES):
            why, pause = await self._once(conversation_id, previous)
            if pause is None:
                break
            if number + 1 < MAX_TRIES:
                await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        return why

    async def _once(self, conversation_id: str, previous: str) -> tuple[str, float | None]:
        """Try once; return the failure and the pause before another try (None: no other try)."""
        if self._write is None:
            return "", None
        try:
            reply = await self._write(conversation_id, previous)
        except TokenExpiredError:
            return "there was no token", PAUSE_SECONDS
        result = reply.result
        if not isinstance(result, Answer):
            return result.detail, PAUSE_SECONDS
        if result.status // 100 == 2:  # noqa: PLR2004 - HTTP's class of success
            return "", None
        again = result.status == 429 or result.status >= 500  # noqa: PLR2004 - HTTP's "too many requests", and the server's faults
        why = f"the platform answered {result.status} ({result.correlation_id})"
        return why, (result.retry_after or PAUSE_SECONDS) if again else None

    async def _tag(self, conversation_id: str, previous: str) -> Reply:
        target = f"{CONVERSATIONS_PATH}/{conversation_id}/tags"
        return await self._caller.call("PUT", target, orjson.dumps(tag(previous)), parse_failure)

    async def _attributes(self, conversation_id: str, previous: str) -> Reply:
        """Write to the customer's participant, which has to be found first."""
        target, found = f"{MESSAGES_PATH}/{conversation_id}", list[Body]()

        def read(exchange: HttpResponse) -> Answer:
            if exchange.body is not None:
                found.append(exchange.body)
            return parse_failure(exchange)

        reply = await self._caller.call("GET", target, None, read)
        participants = listed(found[0], "participants") if found else []
        customer = text(latest_customer(participants), "id")
        if customer is None or not is_path_part(customer):
            return _without_customer(reply)
        target = f"{target}/participants/{customer}/attributes"
        data = orjson.dumps(attributes(previous))
        return await self._caller.call("PATCH", target, data, parse_failure)


def _without_customer(reply: Reply) -> Reply:
    """Return the reply as a failure, because it has no customer."""
    result = reply.result
    if isinstance(result, Answer) and result.status // 100 == 2:  # noqa: PLR2004 - HTTP's class of success
        return replace(reply, result=replace(result, status=404))
    return reply
