"""A web server of aiohttp that takes notices."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATH = "/hook-9K"


@dataclass
class Hooks:
    """A running server; it answers 503 while ``is_away``, else ``answers``, and then 204."""

    url: str = ""
    is_away: bool = False
    answers: list[int] = field(default_factory=list)
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """The headers and the body of each post."""
    on_post: Callable[[dict[str, Any]], None] = lambda _: None
    """Called with each notice before it is answered."""

    def notices(self) -> list[dict[str, Any]]:
        """Return all notices in the order of the posts, with repeats."""
        return [json.loads(body) for _, body in list(self.posts)]

    def wait(self, number: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Wait for so many posts, and return the notices."""
        end = time.monotonic() + seconds
        while len(self.posts) < number and time.monotonic() < end:
            time.sleep(0.01)
        return self.notices()

    async def take(self, request: web.Request) -> web.Response:
        """Keep a post, and answer it."""
        body = await request.read()
        self.posts.append((dict(request.headers), body))
        self.on_post(json.loads(body))
        status = 503 if self.is_away else self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"})


@contextmanager
def hooks(port: int = 0) -> Iterator[Hooks]:
    """Run a server for as long as the block lasts."""
    state, loop = Hooks(), asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post(PATH, state.take)
    runner = web.AppRunner(app, shutdown_timeout=1)

    async def begin() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        state.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
