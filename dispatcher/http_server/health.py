"""Health over HTTP: liveness, readiness and the status of the run."""

import errno
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.http_server.json_server import JsonResponse, serve_json


class HealthAddressError(DispatcherError, OSError):
    """The address cannot be listened on; the message names it and the setting."""

    exit_code = ExitCode.USAGE


async def serve_health(
    stack: AsyncExitStack,
    host: str,
    port: int,
    *,
    status: Callable[[], Mapping[str, object]],
    why_not_ready: Callable[[], str],
    leads: Callable[[], bool],
) -> str:
    """Serve ``GET /healthz``, ``/readyz``, ``/leaderz`` and ``/status`` until the stack is closed.

    ``/healthz`` responds 200 for as long as the event loop runs; ``/readyz`` 200, or 503
    with the reason that ``why_not_ready`` returns; ``/leaderz`` by ``leads``; ``/status`` what
    ``status`` returns. Port 0 takes a free one. Returns the URL.

    Raises:
        HealthAddressError: the address cannot be listened on.

    """

    async def healthz(_path: str, _body: bytes) -> JsonResponse:
        return HTTPStatus.OK, {"alive": True}

    async def readyz(_path: str, _body: bytes) -> JsonResponse:
        reason = why_not_ready()
        return _verdict("ready", yes=not reason, **({"reason": reason} if reason else {}))

    async def leaderz(_path: str, _body: bytes) -> JsonResponse:
        return _verdict("leader", yes=leads())

    async def status_page(_path: str, _body: bytes) -> JsonResponse:
        return HTTPStatus.OK, status()

    pages = {"/healthz": healthz, "/readyz": readyz, "/leaderz": leaderz, "/status": status_page}
    try:
        runner = await serve_json(stack, (host, port), get=pages, post={})
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else error.strerror or str(error)
        raise HealthAddressError(
            error.errno,
            f"cannot serve health on {host}:{port}: {why}; set telemetry.health_port to a free "
            "port, or telemetry.health_host to an address of this machine",
        ) from error
    return f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"


def _verdict(name: str, *, yes: bool, **more: str) -> JsonResponse:
    return HTTPStatus.OK if yes else HTTPStatus.SERVICE_UNAVAILABLE, {name: yes, **more}
