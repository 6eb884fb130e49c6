"""A local stand-in of Datadog's API: it keeps what it gets, and adds what Datadog adds."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from aiohttp import web

KEYS = {"DD_API_KEY": "an-api-key", "DD_APP_KEY": "an-app-key"}


@dataclass
class DatadogStandIn:
    """``refusals`` are the (method, status, headers) of the next answers to that method.

    ``texts`` are the (method, status, text) of the next answers that Datadog would not make;
    without a text there is no answer. They begin after ``texts_after`` writes.
    """

    known_metrics: set = field(default_factory=set)
    refusals: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    texts_after: int = 0
    monitors: dict = field(default_factory=dict)
    dashboards: dict = field(default_factory=dict)
    pipelines: dict = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    writes: list = field(default_factory=list)
    url: str = ""
    _ids: object = field(default_factory=lambda: count(1000))

    async def answer(self, request):
        for index, (method, status, headers) in enumerate(self.refusals):
            if method == request.method:
                del self.refusals[index]
                return web.json_response({"errors": ["not now"]}, status=status, headers=headers)
        for index, (method, status, text) in enumerate(self.texts):
            if method == request.method and len(self.writes) >= self.texts_after:
                del self.texts[index]
                if text is None:
                    await asyncio.sleep(0.6)
                return web.Response(text=text, status=status, content_type="text/html")
        keys = (request.headers.get("DD-API-KEY"), request.headers.get("DD-APPLICATION-KEY"))
        if keys != tuple(KEYS.values()):
            return web.json_response({"errors": ["Forbidden"]}, status=403)
        body = json.loads(await request.text() or "null")
        if request.method != "GET":
            self.writes.append((request.method, request.path))
        status, value = self._route(request.method, request.path, request.query, body)
        return web.json_response(value, status=status)

    def _route(self, method, path, query, body):
        match path.strip("/").split("/"):
            case ["api", "v1", "monitor", *rest]:
                if body and body["priority"] not in range(1, 6):
                    return 400, {"errors": ["The value of priority is not permitted"]}
                return self._stored(self.monitors, method, rest, body, self._page(query))
            case ["api", "v1", "dashboard", *rest]:
                listed = {"dashboards": [*self.dashboards.values()]}
                return self._stored(self.dashboards, method, rest, body, listed)
            case ["api", "v1", "logs", "config", "pipelines", *rest]:
                listed = [*self.pipelines.values()]
                return self._stored(self.pipelines, method, rest, body, listed)
            case ["api", "v1", "metrics", name]:
                return self._metric(self.metadata, method, name, body)
            case ["api", "v2", "metrics", name, "tags"]:
                return self._metric(self.tags, method, name, body, create=method == "POST")
        return 404, {"errors": ["Not found"]}

    def _page(self, query):
        wanted, page = query.get("monitor_tags"), int(query.get("page", 0))
        size = int(query.get("page_size", 100))
        found = [item for item in self.monitors.values() if wanted in item["tags"]]
        return found[page * size : (page + 1) * size]

    def _stored(self, kept, method, rest, body, listed):
        if method == "GET" and not rest:
            return 200, listed
        id_ = rest[0] if rest else str(next(self._ids))
        if rest and id_ not in kept:
            return 404, {"errors": ["Not found"]}
        if method != "GET":
            added = {"id": id_, "created_at": "2026-11-28", "url": f"/dashboard/{id_}/dispatcher"}
            kept[id_] = {**json.loads(json.dumps(body)), **added}
            if body.get("type") == "query alert":
                kept[id_]["type"] = "metric alert"
                kept[id_]["options"]["silenced"] = {}
        return 200, kept[id_]

    def _metric(self, kept, method, name, body, *, create=False):
        if name not in self.known_metrics:
            return 404, {"errors": ["Metric not found"]}
        if method == "GET" and kept is self.metadata:
            return 200, {"type": "gauge", "unit": None, **kept.get(name, {})}
        if not create and method != "PUT" and name not in kept:
            return 404, {"errors": ["Not found"]}
        if method != "GET":
            kept[name] = body
        return 200, kept[name]


@asynccontextmanager
async def datadog_stand_in():
    """Yield a stand-in that listens on a port of the loopback interface."""
    stand_in = DatadogStandIn()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", stand_in.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
