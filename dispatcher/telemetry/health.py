"""Health over HTTP: whether the daemon lives, whether it is ready, and how it stands."""

import errno
from collections.abc import Callable, Mapping

import orjson
from aiohttp import web

from dispatcher.domain.errors import DispatcherError, ExitCode

_OK, _UNAVAILABLE = 200, 503


class HealthAddressError(DispatcherError, OSError):
    """The address cannot be listened on; the message names it and the setting."""

    exit_code = ExitCode.USAGE


class HealthServer:
    """Serves ``GET /healthz``, ``/readyz`` and ``/status``.

    ``/healthz`` answers 200 for as long as the event loop lives; ``/readyz`` 200 or 503 by
    ``ready``; ``/status`` what ``status`` returns, as JSON. Port 0 takes a free one.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        status: Callable[[], Mapping[str, object]],
        ready: Callable[[], bool],
    ) -> None:
        self._host, self._port = host, port
        self._status, self._ready = status, ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            HealthAddressError: the address cannot be listened on.

        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/status", self._status_page)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise self._refusal(error) from error
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; calling it again does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @property
    def address(self) -> str:
        """Where the server listens, as a URL; true once it was started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def _refusal(self, error: OSError) -> HealthAddressError:
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else error.strerror or str(error)
        return HealthAddressError(
            error.errno,
            f"cannot serve health on {self._host}:{self._port}: {why};"
            " set telemetry.health_port to a free port, or telemetry.health_host to an"
            " address of this machine",
        )

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _json(_OK, {"alive": True})

    async def _readyz(self, _request: web.Request) -> web.Response:
        ready = self._ready()
        return _json(_OK if ready else _UNAVAILABLE, {"ready": ready})

    async def _status_page(self, _request: web.Request) -> web.Response:
        return _json(_OK, self._status())


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    data = orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(
        status=status,
        body=data,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
