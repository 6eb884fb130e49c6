"""Posts notices of a run to a web server: a halt, a resume, the end of a campaign."""

import asyncio
import hashlib
import hmac
import json
import random
import time
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import structlog

from dispatcher.domain.growing_pause import GrowingPause
from dispatcher.sinks.pump import SinkState

TIMEOUT_SECONDS = 10.0
MOST_WAITING = 1000
"""Notices that wait for a server that is away; the oldest ones are given up."""
_TAKEN = range(200, 300)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a campaign's run. It has nothing of a contact.

    ``id`` stays the same however often the notice is posted: readers take each id once. ``at`` is
    in seconds since the epoch.
    """

    event: str
    campaign: str
    facts: Mapping[str, str | int | float]
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def body(self) -> bytes:
        """Return the notice as JSON."""
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        values = {"id": self.id, "event": self.event, "campaign": self.campaign, "at": at}
        return json.dumps(values | dict(self.facts), ensure_ascii=False).encode()


class Webhook:
    """Posts notices in their order, each until the server answers with 2xx.

    A server that is away is tried for ever, with growing pauses; nothing else waits for it.
    """

    def __init__(self, name: str, url: str, secret: str) -> None:
        self.name = name
        self.state = SinkState()
        self._url, self._secret = url, secret
        self._server = urlsplit(url).netloc  # the path may have a secret
        self._waiting: deque[Notice] = deque()
        self._wake = asyncio.Event()
        self._is_ending = False
        self._pause = GrowingPause(random.random)
        self._task: asyncio.Future[None] | None = None
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._logger = structlog.get_logger(sink=name)

    def add(self, notice: Notice) -> None:
        """Let a notice be posted."""
        if len(self._waiting) >= MOST_WAITING:
            oldest = self._waiting.popleft()
            self._logger.warning("sink.dropped", id=oldest.id, detail=self.state.error)
        self._waiting.append(notice)
        self.state.lag = len(self._waiting)
        self._wake.set()

    def start(self) -> None:
        """Begin to post, beside everything else."""
        self._task = asyncio.ensure_future(self._run())

    async def measure(self) -> None:
        """Bring the lag of `state` up to date."""
        self.state.lag = len(self._waiting)

    async def end(self, seconds: float) -> bool:
        """Post what waits, for at most ``seconds``, and end; return whether all was posted.

        What was not posted is given up.
        """
        self._is_ending = True
        self._wake.set()
        if self._task is None:
            return not self._waiting
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return bool(done)

    async def _run(self) -> None:
        while self._waiting or not self._is_ending:
            if self._waiting:
                notice = self._waiting[0]
                await self._deliver(notice)
                if self._waiting and self._waiting[0] is notice:
                    self._waiting.popleft()
                self.state.lag = len(self._waiting)
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _deliver(self, notice: Notice) -> None:
        """Post a notice until the server has it."""
        while problem := await asyncio.to_thread(self._post, notice):
            if problem != self.state.error:
                self._logger.warning("sink.failed", detail=problem)
            self.state.error = problem
            await asyncio.sleep(self._pause.next())
        if self.state.error:
            self._logger.info("sink.back")
        self.state.error = ""
        self.state.ranges += 1
        self._pause.reset()

    def _post(self, notice: Notice) -> str:
        """Post a notice once; return what is wrong, or an empty text."""
        body = notice.body()
        request = urllib.request.Request(  # noqa: S310 - the settings permit only http and https
            self._url, body, self._headers(notice, body), method="POST"
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            return f"sink {self.name}: {self._server} does not answer: {reason}"
        if status in _TAKEN:
            return ""
        return f"sink {self.name}: {self._server} answers {status}; it must answer 2xx"

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        """Return the headers; the signature is over the time of this post, a dot and the body."""
        now = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "Dispatcher-Event-Id": notice.id,
            "Dispatcher-Timestamp": now,
        }
        if self._secret:
            signed = hmac.new(self._secret.encode(), f"{now}.".encode() + body, hashlib.sha256)
            headers["Dispatcher-Signature"] = f"sha256={signed.hexdigest()}"
        return headers


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET without the notice."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""
