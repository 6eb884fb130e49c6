"""A server whose responses are JSON."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from socket import socket

import orjson
from aiohttp import web

from dispatcher.http_server.runner import make_runner

JsonResponse = tuple[HTTPStatus, Mapping[str, object]]
"""Status and body; values that JSON has no type for are written as their text."""

RequestHandler = Callable[[str, bytes], Awaitable[JsonResponse]]
"""Called with the last part of the path, and the body."""


async def serve_json(
    stack: AsyncExitStack,
    address: socket | tuple[str, int],
    *,
    get: Mapping[str, RequestHandler],
    post: Mapping[str, RequestHandler],
) -> web.AppRunner:
    """Serve paths such as ``/status`` or ``/{command}`` until the stack is closed.

    ``address`` is a socket that listens already, or host and port; port 0 takes a free one.
    No request is logged; bodies larger than 1 MiB are refused.

    Raises:
        OSError: the address cannot be listened on.

    """
    app = web.Application(client_max_size=1 << 20)
    app.add_routes([web.get(path, _adapt(handler)) for path, handler in get.items()])
    app.add_routes([web.post(path, _adapt(handler)) for path, handler in post.items()])
    runner = make_runner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    if isinstance(address, socket):
        site: web.BaseSite = web.SockSite(runner, address)
    else:
        site = web.TCPSite(runner, *address)
    await site.start()
    return runner


def _adapt(handler: RequestHandler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        status, body = await handler(name, await request.read())
        return web.Response(
            status=status,
            body=orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return respond
