"""Health over HTTP: liveness, readiness and the status of the run."""

import errno
from collections.abc import Callable, Mapping
from http import HTTPStatus

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.http_server.json_server import JsonResponse, JsonServer


class HealthAddressError(DispatcherError, OSError):
    """The address cannot be listened on; the message names it and the setting."""

    exit_code = ExitCode.USAGE


class HealthServer:
    """Serves ``GET /healthz``, ``/readyz`` and ``/status``.

    ``/healthz`` responds 200 for as long as the event loop runs; ``/readyz`` 200 or 503 by
    ``ready``; ``/status`` what ``status`` returns. Port 0 takes a free one.
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
        pages = {"/healthz": self._healthz, "/readyz": self._readyz, "/status": self._status_page}
        self._server = JsonServer(get=pages, post={})

    async def start(self) -> None:
        """Listen.

        Raises:
            HealthAddressError: the address cannot be listened on.

        """
        try:
            self._port = await self._server.start_tcp(self._host, self._port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "another program listens there" if taken else error.strerror or str(error)
            raise HealthAddressError(
                error.errno,
                f"cannot serve health on {self._host}:{self._port}: {why};"
                " set telemetry.health_port to a free port, or telemetry.health_host to an"
                " address of this machine",
            ) from error

    async def stop(self) -> None:
        """Stop listening; a second call does nothing."""
        await self._server.stop()

    @property
    def address(self) -> str:
        """The server's URL, after it was started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def _healthz(self, _path: str, _body: bytes) -> JsonResponse:
        return HTTPStatus.OK, {"alive": True}

    async def _readyz(self, _path: str, _body: bytes) -> JsonResponse:
        ready = self._ready()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, {"ready": ready}

    async def _status_page(self, _path: str, _body: bytes) -> JsonResponse:
        return HTTPStatus.OK, self._status()
