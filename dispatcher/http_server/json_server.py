"""A server whose responses are JSON, on a TCP address or a Unix socket."""

import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import orjson
from aiohttp import web

_SHUTDOWN_SECONDS = 1.0
"""How long a stop waits for open connections."""


JsonResponse = tuple[HTTPStatus, Mapping[str, object]]
"""Status and body; values that JSON has no type for are written as their text."""

Handler = Callable[[str, bytes], Awaitable[JsonResponse]]
"""Called with the last part of the path, and the body."""


class JsonServer:
    """Serves paths such as ``/status`` or ``/{command}``; no request is logged.

    Bodies larger than 1 MiB are refused.
    """

    def __init__(self, *, get: Mapping[str, Handler], post: Mapping[str, Handler]) -> None:
        app = web.Application(client_max_size=1 << 20)
        app.add_routes([web.get(path, _adapt(handler)) for path, handler in get.items()])
        app.add_routes([web.post(path, _adapt(handler)) for path, handler in post.items()])
        self._app = app
        self._runner: web.AppRunner | None = None

    async def start_tcp(self, host: str, port: int) -> int:
        """Listen on an address; return the port, which is a free one for port 0.

        Raises:
            OSError: the address cannot be listened on.

        """
        runner = await self._start(lambda runner: web.TCPSite(runner, host, port))
        return int(runner.addresses[0][1])

    async def start_unix(self, listening: socket.socket) -> None:
        """Accept connections of a Unix socket that listens already."""
        await self._start(lambda runner: web.SockSite(runner, listening))

    async def stop(self) -> None:
        """Stop listening; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _start(self, site: Callable[[web.AppRunner], web.BaseSite]) -> web.AppRunner:
        self._runner = web.AppRunner(
            self._app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        try:
            await site(self._runner).start()
        except OSError:
            await self.stop()
            raise
        return self._runner


def _adapt(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
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
