"""Serves the page: ``/`` whole, ``/events`` as a stream, and what an operator looks closer at."""

import asyncio
import errno
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from dispatcher.domain.course import Course
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.status import Reason, Status
from dispatcher.http_server.page import documents, operator_pages, plan_pages
from dispatcher.http_server.page.feed import Feed
from dispatcher.http_server.page.guard import HEADERS, Handler, PageGuard, PageRefusal
from dispatcher.http_server.page.html import Markup
from dispatcher.http_server.page.live import live_parts
from dispatcher.http_server.page.outlook import PageState, by_status, is_at_rest
from dispatcher.http_server.runner import make_runner
from dispatcher.ports import LedgerError, SourceError
from dispatcher.ports.orders import CommandError, Selection
from dispatcher.ports.plan import CampaignPlan
from dispatcher.ports.questions import (
    BEGINNING,
    HistoryOf,
    LineageRows,
    ParkedContacts,
    StatusOf,
)
from dispatcher.ports.snapshot import RUNNING, STANDBY, RunSnapshot

COURSE_SECONDS = 1.0
"""How often a point of the course is looked for."""
SEND_SECONDS = 30.0
"""How long a reader may take one event; it is let go then."""
LINKS = 25
"""Links on a page of the lineage."""
ASSETS = Path(__file__).parents[2] / "data" / "page"
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_MOST_FORM = 16_384


class PageAddressError(DispatcherError, OSError):
    """The address cannot be listened on; the message names it and the setting."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class PageSource:
    """What the page shows: ``look`` and ``page`` are those of the run's store.

    ``order`` carries out an order of an operator by its name, with its arguments as JSON values.
    ``plan`` makes the plan of a campaign.
    """

    snapshot: Callable[[], RunSnapshot]
    look: Callable[..., Awaitable[Any]]
    page: Callable[..., Awaitable[Any]]
    order: Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    plan: Callable[[str], Awaitable[CampaignPlan]]


async def serve_page(
    stack: AsyncExitStack, host: str, port: int, source: PageSource, guard: PageGuard
) -> str:
    """Serve the page until the stack is closed. Port 0 takes a free one. Returns the URL.

    Raises:
        PageAddressError: the address cannot be listened on.

    """
    page = _Page(source, guard)
    runner = make_runner(page.app())
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else error.strerror or str(error)
        raise PageAddressError(
            error.errno,
            f"cannot serve the page on {host}:{port}: {why}; set telemetry.page_port to a free "
            "port, or telemetry.page_host to an address of this machine",
        ) from error
    return f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"


class _Page:
    """The handlers of the page."""

    def __init__(self, source: PageSource, guard: PageGuard) -> None:
        self._source, self._guard = source, guard
        self._courses: dict[str, Course] = {}
        self._feed = Feed(lambda: live_parts(self._state()))
        self._assets = {path.name: path.read_bytes() for path in sorted(ASSETS.iterdir())}
        self._version = hashlib.sha256(b"".join(self._assets.values())).hexdigest()[:12]

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(
            client_max_size=_MOST_FORM, middlewares=[self._as_pages, self._guard.middleware]
        )
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(self._shut_down)
        app.cleanup_ctx.append(self._recording)
        app.router.add_get("/", self._run)
        app.router.add_get("/events", self._events, allow_head=False)
        app.router.add_get("/static/{name}", self._asset)
        app.router.add_get("/plan", self._plan)
        app.router.add_get("/parked", self._parked)
        app.router.add_get("/contact", self._contact)
        app.router.add_get("/lineage", self._lineage)
        app.router.add_get("/confirm", self._confirm)
        app.router.add_get("/done", self._done)
        app.router.add_post(f"/{{order:{'|'.join(documents.ORDERS)}}}", self._order)
        return app

    async def _run(self, _request: web.Request) -> web.Response:
        state = self._state()
        return _html(documents.run_page(state, writable=self._writable, version=self._version))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._feed.full:
            raise PageRefusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many readers look at this page.")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        reader = self._feed.join()
        try:
            while (events := await reader.next()) is not None:
                async with asyncio.timeout(SEND_SECONDS):
                    await response.write(events)
        except (ConnectionError, TimeoutError):  # it has left, or does not read
            pass
        finally:
            self._feed.leave(reader)
        return response

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._assets:
            raise web.HTTPNotFound
        return web.Response(
            body=self._assets[name],
            content_type=_TYPES[Path(name).suffix],
            charset="utf-8",
            headers={"Cache-Control": "private, max-age=86400"},
        )

    async def _plan(self, request: web.Request) -> web.Response:
        run, version = self._source.snapshot(), self._version
        only = run.campaigns[0].name if len(run.campaigns) == 1 else ""
        name = request.query.get("campaign", only)
        campaign = next((one for one in run.campaigns if one.name == name), None)
        if campaign is None or run.phase != RUNNING:
            return _html(plan_pages.plans_page(run, version=version))
        if not is_at_rest(run, campaign):
            return _html(plan_pages.running_page(name, version=version))
        try:
            plan = await self._source.plan(name)
        except SourceError as error:
            return self._message(HTTPStatus.CONFLICT, f"There is no plan: {error}.")
        page = plan_pages.plan_page(run, campaign, plan, writable=self._writable, version=version)
        return _html(page)

    async def _parked(self, request: web.Request) -> web.Response:
        campaign, reason = request.query.get("campaign"), request.query.get("reason")
        if campaign and reason:
            values = {"before": time.time(), "campaign": campaign, "reason": reason}
            selection = Selection.from_dict({**values, "limit": operator_pages.MOST_LISTED})
            contacts = await self._source.look(ParkedContacts(selection))
            return _html(
                operator_pages.parked_list(campaign, reason, contacts, version=self._version)
            )
        statuses = await self._source.look(StatusOf(None, time.time()))
        return _html(
            operator_pages.parked_page(statuses, writable=self._writable, version=self._version)
        )

    async def _contact(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "").strip()
        contacts = None
        if name:
            with suppress(CommandError):  # there is none
                contacts = await self._source.look(HistoryOf(name))
        return _html(operator_pages.contact_page(name, contacts, version=self._version))

    async def _lineage(self, request: web.Request) -> web.Response:
        cursor, first = (
            request.query.get("after", BEGINNING),
            _number(request.query.get("from", "0")),
        )
        page = await self._source.page(LineageRows(), cursor)
        rows = page.rows[first : first + LINKS]
        following = None
        if len(page.rows) > first + LINKS:
            following = {"after": cursor, "from": str(first + LINKS)}
        elif page.more:
            following = {"after": page.cursor}
        return _html(operator_pages.lineage_page(rows, following, version=self._version))

    async def _confirm(self, request: web.Request) -> web.Response:
        if not self._writable:
            raise PageRefusal(HTTPStatus.FORBIDDEN, "This page only reads.")
        order, campaign = request.query.get("order", ""), request.query.get("campaign", "")
        reason = request.query.get("reason", "")
        if order not in documents.ORDERS:
            raise CommandError("there is no such order")
        (status,) = await self._source.look(StatusOf(campaign, time.time()))
        number = None
        if order in documents.OF_PARKED:
            known = Selection.from_dict({"before": 0.0, "reason": reason}).reason
            number = status.totals.by_status.get((Status.PARKED, known), 0)
        return _html(
            operator_pages.confirm_page(
                order, campaign, reason, number, time.time(), version=self._version
            )
        )

    async def _order(self, request: web.Request) -> web.Response:
        """Carry out an order, and show its result by another request, which may be repeated."""
        order, form = request.match_info["order"], await request.post()
        if self._source.snapshot().phase == STANDBY:
            raise LedgerError("this dispatcher waits: give orders to the one that leads")
        arguments: dict[str, Any] = {"campaign": str(form.get("campaign", ""))}
        if order in documents.OF_PARKED:
            arguments |= {"reason": Reason(str(form.get("reason", ""))).value}
            arguments |= {"before": float(str(form.get("before", "")))}
        answer = await self._source.order(order, arguments)
        numbers = {n: str(value) for n, value in answer.items() if isinstance(value, int)}
        url = request.rel_url.with_path("/done").with_query({"order": order, **numbers})
        return web.Response(
            status=HTTPStatus.SEE_OTHER, headers={"Location": str(url), "Cache-Control": "no-store"}
        )

    async def _done(self, request: web.Request) -> web.Response:
        order = request.query.get("order", "")
        if order not in documents.ORDERS:
            raise web.HTTPNotFound
        numbers = {
            name: _number(request.query[name])
            for name in documents.RESULTS
            if name in request.query
        }
        return _html(operator_pages.done_page(order, numbers, version=self._version))

    @property
    def _writable(self) -> bool:
        return self._guard.writable

    def _state(self) -> PageState:
        run = self._source.snapshot()
        courses = {
            one.name: self._course(one.name).until(run.taken_at - run.started_at, by_status(one))
            for one in run.campaigns
        }
        return PageState(run, courses)

    def _course(self, campaign: str) -> Course:
        return self._courses.setdefault(campaign, Course())

    async def _recording(self, _app: web.Application) -> "Any":
        """Record the course for as long as the page is served."""
        task = asyncio.ensure_future(self._record())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _record(self) -> None:
        while True:
            run = self._source.snapshot()
            for campaign in run.campaigns:
                if campaign.read_at is not None:  # its figures are of that moment
                    seconds = campaign.read_at - run.started_at
                    self._course(campaign.name).add(seconds, by_status(campaign))
            await asyncio.sleep(COURSE_SECONDS)

    async def _shut_down(self, _app: web.Application) -> None:
        self._feed.close()

    @web.middleware
    async def _as_pages(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give errors the form of a page."""
        try:
            return await handler(request)
        except PageRefusal as error:
            response = self._message(error.status, error.reason)
            if error.status == HTTPStatus.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = 'Basic realm="dispatcher", charset="UTF-8"'
            return response
        except ValueError as error:  # a CommandError, or a form that is not ours
            reason = (
                str(error) if isinstance(error, CommandError) else "a value is missing or wrong"
            )
            return self._message(HTTPStatus.BAD_REQUEST, f"Nothing was done: {reason}.")
        except LedgerError as error:
            return self._message(HTTPStatus.CONFLICT, f"Nothing was done: {error}.")
        except web.HTTPException as error:
            return self._message(HTTPStatus(error.status), "There is nothing here for that.")

    def _message(self, status: HTTPStatus, text: str) -> web.Response:
        page = documents.message_page(status.phrase, text, version=self._version)
        return _html(page, status)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


def _html(page: Markup, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(text=page, status=status, content_type="text/html", charset="utf-8")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0


_MOST_DIGITS = 12
