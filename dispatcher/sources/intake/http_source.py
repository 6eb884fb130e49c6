"""The source of a campaign whose contacts are posted over HTTP."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus

from dispatcher.ports import Admitted, Batch, Post, PostRefusal, PostRefusedError, Receipt, Stream
from dispatcher.sources.intake.post_parser import PostParser
from dispatcher.sources.intake.refused_posts import RefusedPosts
from dispatcher.sources.options import RowRules

MOST_POSTS = 256
"""Posts that may wait for their commit; more would only wait for longer."""
INLINE_BYTES = 8 << 10
"""A longer body is parsed in a thread, so that the event loop goes on."""
_BUSY_SECONDS = 1
_CLOSED_SECONDS = 5


class HttpSource:
    """Turns posts into batches, and answers each post once its batch is committed.

    It has no place to read on from. A client repeats a post that was not answered; the keys of its
    contacts, or the key of its request, show what is known already. With ``once`` the source ends
    at once, since posts may come at any time.
    """

    def __init__(self, rules: RowRules, most_rows: int, *, once: bool = False) -> None:
        self._parser = PostParser(rules, most_rows)
        self._thread_parser = PostParser(rules, most_rows)
        self._thread = ThreadPoolExecutor(1, "posts")
        self._ready: deque[_WaitingPost] = deque()
        self._arrived = asyncio.Event()
        self._waiting: set[_WaitingPost] = set()
        self._parsing = 0
        self._is_open = False
        self._once = once
        self._refused = RefusedPosts()
        self.watched = not once

    @property
    def waits_for(self) -> str:
        """Why no contact comes: all posts are refused; empty if some are accepted."""
        return self._refused.reason

    def note_answer(self, status: HTTPStatus) -> None:
        """Take note of the answer to a post, which may have been refused before `accept`."""
        self._refused.note(status)

    @property
    def lag(self) -> int:
        """How many rows were posted and are not committed."""
        return sum(waiting.batch.rows for waiting in self._waiting)

    async def accept(self, post: Post) -> Receipt:
        """Return what became of the rows of a post, after the commit.

        Raises:
            PostRefusedError: nothing of it was written.

        """
        self._check_open()
        if len(self._waiting) + self._parsing >= MOST_POSTS:
            detail = f"{MOST_POSTS} posts wait for their commit"
            raise PostRefusedError(PostRefusal.BUSY, detail, _BUSY_SECONDS)
        batch = await self._parse(post)
        self._check_open()
        waiting = _WaitingPost(batch)
        self._waiting.add(waiting)
        self._ready.append(waiting)
        self._arrived.set()
        try:
            return await waiting.answer
        finally:
            self._waiting.discard(waiting)

    async def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:  # noqa: ARG002 - the port's
        """Yield each post as a batch; posts are accepted until the generator is closed."""
        self._is_open = not self._once
        try:
            while self._is_open:
                while self._ready:
                    yield self._ready.popleft().batch
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._is_open = False
            while self._ready:
                self._ready.popleft().refuse()

    def close(self) -> None:
        """Refuse all posts that are not committed: nothing commits them any more."""
        self._is_open = False
        self._arrived.set()
        self._thread.shutdown(wait=False)
        for waiting in tuple(self._waiting):
            waiting.refuse()

    def _check_open(self) -> None:
        if not self._is_open:
            raise _closed()

    async def _parse(self, post: Post) -> Batch:
        if len(post.body) <= INLINE_BYTES:
            return self._parser.parse(post)
        loop = asyncio.get_running_loop()
        self._parsing += 1
        try:
            return await loop.run_in_executor(self._thread, self._thread_parser.parse, post)
        finally:
            self._parsing -= 1


class _WaitingPost:
    """A post that waits for its commit."""

    def __init__(self, batch: Batch) -> None:
        self.batch = replace(batch, done=self._answer)
        self.answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

    def refuse(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(_closed())

    def _answer(self, admitted: Admitted) -> None:
        if self.answer.done():
            return
        if admitted.key_reused:
            detail = "this Idempotency-Key was used for another body; use a new key for each body"
            self.answer.set_exception(PostRefusedError(PostRefusal.KEY_REUSED, detail))
        else:
            self.answer.set_result(self.batch.receipt(admitted))


def _closed() -> PostRefusedError:
    detail = "the dispatcher starts or ends at present, and accepts no contacts"
    return PostRefusedError(PostRefusal.CLOSED, detail, _CLOSED_SECONDS)
