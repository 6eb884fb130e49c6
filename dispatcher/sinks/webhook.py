"""Posts notices of a run to a web server: a halt, a resume, the end of a campaign."""

import asyncio
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import structlog

from dispatcher.ports import LedgerError
from dispatcher.ports.notices import NOTICE_SECONDS, Notice, NoticeLog
from dispatcher.sinks.pump import SinkState
from dispatcher.sinks.retry_pause import RetryPause

TIMEOUT_SECONDS = 10.0
MOST_WAITING = 1000
"""Notices that wait for a server that is away; the oldest ones are given up."""
_TAKEN = range(200, 300)


class Webhook:
    """Posts notices in their order, each until the server answers with 2xx.

    A notice is in the log before it is posted, and until the server has it: what a killed run has
    not posted, the next one posts. A server that is away is tried with growing pauses; nothing
    else waits for it.
    """

    def __init__(self, name: str, url: str, secret: str, log: NoticeLog) -> None:
        self.name = name
        self.state = SinkState()
        self._url, self._secret = url, secret
        self._server = urlsplit(url).netloc  # the path may have a secret
        self._log = log
        self._waiting: deque[Notice] = deque()
        self._beside_tasks = set[asyncio.Future[None]]()
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._pause = RetryPause()
        self._task: asyncio.Future[None] | None = None
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._logger = structlog.get_logger(sink=name)

    async def start(self, end_notices: Sequence[Notice]) -> None:
        """Begin to post, beside everything else; first what earlier runs have not posted.

        ``end_notices`` are posted by the next run if this one is killed before it adds notices
        with their ids.

        Raises:
            LedgerError: the log has failed.

        """
        for notice in await self._log.begin_run(self.name, end_notices, time.time()):
            self._append(notice)
        self._task = asyncio.ensure_future(self._run())

    def add(self, notice: Notice) -> "asyncio.Future[None]":
        """Let a notice be posted; the result is there once the log has it.

        If the log has failed, the notice is posted all the same, if the server takes it in time.
        """
        return self._beside(self._keep(notice))

    async def measure(self) -> None:
        """Bring the lag of `state` up to date."""
        self.state.lag = len(self._waiting)

    async def end(self, seconds: float) -> bool:
        """Post what waits, for at most ``seconds``, and end; return whether all was posted.

        What was not posted is posted by the next run.
        """
        await asyncio.gather(*self._beside_tasks)
        self._ending.set()
        self._pause.cut_short()
        self._wake.set()
        if self._task is None:
            return True
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        self._task.cancel()
        await asyncio.gather(self._task, *self._beside_tasks, return_exceptions=True)
        return bool(done)

    def _beside(self, work: Coroutine[Any, Any, None]) -> "asyncio.Future[None]":
        """Write to the log beside what goes on; writes stay in their order."""
        task = asyncio.ensure_future(work)
        self._beside_tasks.add(task)
        task.add_done_callback(self._beside_tasks.discard)
        return task

    async def _keep(self, notice: Notice) -> None:
        with suppress(LedgerError):  # it ends the run by itself
            await self._log.add(self.name, notice)
        self._append(notice)

    async def _remove(self, notice: Notice) -> None:
        with suppress(LedgerError):  # it is posted again, and readers take each id once
            await self._log.remove(self.name, [notice.id])

    def _append(self, notice: Notice) -> None:
        self._waiting.append(notice)
        if len(self._waiting) > MOST_WAITING:
            self._give_up(self._waiting[0])
        self.state.lag = len(self._waiting)
        self._wake.set()

    def _give_up(self, notice: Notice) -> None:
        """Leave out the oldest notice."""
        self._waiting.popleft()
        self._beside(self._remove(notice))
        self._logger.warning("sink.dropped", id=notice.id, detail=self.state.error)

    async def _run(self) -> None:
        while self._waiting or not self._ending.is_set():
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            notice = self._waiting[0]
            if problem := await asyncio.to_thread(self._post, notice):
                self._failed(problem, notice)
                await self._pause.wait()
            else:
                await self._taken(notice)

    def _failed(self, problem: str, notice: Notice) -> None:
        if problem != self.state.error:
            self._logger.warning("sink.failed", detail=problem)
        self.state.error = problem
        if self._is_next(notice) and time.time() - notice.at > NOTICE_SECONDS:
            self._give_up(notice)

    async def _taken(self, notice: Notice) -> None:
        if self.state.error:
            self._logger.info("sink.back")
        self.state.error = ""
        self.state.ranges += 1
        self._pause.reset()
        if self._is_next(notice):
            self._waiting.popleft()
            await self._remove(notice)
        self.state.lag = len(self._waiting)

    def _is_next(self, notice: Notice) -> bool:
        """Return False if the notice was given up while it was posted."""
        return bool(self._waiting) and self._waiting[0] is notice

    def _post(self, notice: Notice) -> str:
        """Post a notice once; return what is wrong, or an empty text."""
        body = _body(notice)
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


def _body(notice: Notice) -> bytes:
    """Return a notice as JSON."""
    at = datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds")
    values = {"id": notice.id, "event": notice.event, "campaign": notice.campaign, "at": at}
    return json.dumps(values | dict(notice.facts), ensure_ascii=False).encode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET without the notice."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""
