"""HTTP intake: ``POST /campaigns/NAME/contacts``."""

import errno
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.loopback import is_loopback
from dispatcher.http_server.post_body import (
    BODY_SECONDS,
    DamagedBodyError,
    SlowBodyError,
    TooLargeError,
    UnknownEncodingError,
    read_body,
)
from dispatcher.http_server.runner import make_runner
from dispatcher.ports import Post, PostLayout, PostRefusal, PostRefusedError, Receipt

PROBLEM_TYPE = "application/problem+json"
"""The content type of errors (RFC 9457)."""
LAYOUTS: Mapping[str, PostLayout] = {
    "": PostLayout.AUTO,
    "application/octet-stream": PostLayout.AUTO,
    "application/json": PostLayout.JSON,
    "application/x-ndjson": PostLayout.LINES,
    "application/ndjson": PostLayout.LINES,
    "application/jsonl": PostLayout.LINES,
    "application/jsonlines": PostLayout.LINES,
}
"""The content types that are accepted."""
MOST_KEY = 255
"""Characters that an Idempotency-Key may have."""

_STATUSES: Mapping[PostRefusal, HTTPStatus] = {
    PostRefusal.MALFORMED: HTTPStatus.BAD_REQUEST,
    PostRefusal.MISSING_COLUMNS: HTTPStatus.BAD_REQUEST,
    PostRefusal.TOO_MANY_ROWS: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    PostRefusal.KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    PostRefusal.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    PostRefusal.BACKLOG: HTTPStatus.TOO_MANY_REQUESTS,
    PostRefusal.PAUSED: HTTPStatus.TOO_MANY_REQUESTS,
    PostRefusal.CLOSED: HTTPStatus.SERVICE_UNAVAILABLE,
    PostRefusal.STANDBY: HTTPStatus.SERVICE_UNAVAILABLE,
}


class PostAddressError(DispatcherError, OSError):
    """The address cannot be listened on; the message names it and the setting."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class PostTarget:
    """One campaign that contacts are posted to.

    ``accept`` returns after the commit, or raises `PostRefusedError`. ``check`` raises it for any
    post, before its body is read. ``token`` returns the bearer token that a client must have; empty
    if it needs none. ``answered`` is called with the status of each answer and the rows of the
    post. ``most_bytes`` is the limit of a body.
    """

    accept: Callable[[Post], Awaitable[Receipt]]
    check: Callable[[], None]
    token: Callable[[], str]
    answered: Callable[[HTTPStatus, int], None]
    most_bytes: int


async def serve_posts(
    stack: AsyncExitStack, host: str, port: int, targets: Mapping[str, PostTarget]
) -> str:
    """Accept posts for campaigns, by their names, until the stack is closed.

    Port 0 takes a free one. Returns the URL. Neither bodies nor headers are logged.

    Raises:
        PostAddressError: the address cannot be listened on.

    """
    app = web.Application(
        client_max_size=max((one.most_bytes for one in targets.values()), default=0)
    )
    app.middlewares.append(_as_problems)
    app.router.add_post("/campaigns/{name}/contacts", _PostHandler(targets).handle)
    runner = make_runner(app, auto_decompress=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise address_error(host, port, error) from error
    return f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"


def address_error(host: str, port: int, error: OSError) -> PostAddressError:
    """Return the error of an address that cannot be listened on."""
    taken = error.errno == errno.EADDRINUSE
    why = "another program listens there" if taken else error.strerror or str(error)
    return PostAddressError(
        error.errno,
        f"cannot accept contacts on {host}:{port}: {why}; set source.http.port to a free port, or "
        "source.http.host to an address of this machine",
    )


class _PostHandler:
    def __init__(self, targets: Mapping[str, PostTarget]) -> None:
        self._targets = targets

    async def handle(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        target = self._targets.get(name)
        if target is None:
            return self._unknown(request, name)
        rows = 0
        response: web.Response
        try:
            receipt = await self._receive(request, target)
        except _HttpProblem as problem:
            response = problem.response
        except PostRefusedError as error:
            response = _refused(error)
        else:
            response, rows = _accepted(receipt), receipt.rows
        target.answered(HTTPStatus(response.status), rows)
        return response

    async def _receive(self, request: web.Request, target: PostTarget) -> Receipt:
        """Check the request, in the order in which the checks cost, and pass it on."""
        token = target.token()
        if token and not is_bearer(request.headers.get("Authorization", ""), token):
            raise _HttpProblem(_unauthorized())
        if not token:
            _check_local(request)
        layout = _layout(request)
        key = _key(request)
        target.check()
        body = await _body(request, target.most_bytes)
        return await target.accept(Post(body, layout, key))

    def _unknown(self, request: web.Request, name: str) -> web.Response:
        """Refuse a campaign that is not here; only a client with a token learns that."""
        tokens = [target.token() for target in self._targets.values()]
        header = request.headers.get("Authorization", "")
        if all(tokens) and not any(is_bearer(header, token) for token in tokens):
            return _unauthorized()
        detail = f"no campaign {name!r} accepts contacts here"
        return _problem(HTTPStatus.NOT_FOUND, "unknown_campaign", detail)


class _HttpProblem(Exception):  # noqa: N818 - it carries a response, and never leaves this module
    """A request that is refused before its rows are read."""

    def __init__(self, response: web.Response) -> None:
        super().__init__()
        self.response = response


def is_bearer(header: str, token: str) -> bool:
    """Return True if an Authorization header has the token; in the same time for any other one."""
    scheme, _, sent = header.partition(" ")
    same = hmac.compare_digest(sent.strip().encode("utf-8", "surrogateescape"), token.encode())
    return same and scheme.lower() == "bearer"


def _check_local(request: web.Request) -> None:
    """Refuse what a browser sends for a page: without a token every web site could post.

    Each post of a page has an Origin, and that of a page whose name was pointed to this machine
    has a foreign Host.
    """
    host = request.headers.get("Host", "")
    if "Origin" not in request.headers and (not host or is_loopback(_host_name(host))):
        return
    detail = (
        "without a token only programs of this machine may post, by its address, and no pages of a "
        "browser; set source.http.token_file or token_variable to accept others"
    )
    raise _HttpProblem(_problem(HTTPStatus.FORBIDDEN, "foreign", detail))


def _host_name(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _layout(request: web.Request) -> PostLayout:
    declared = "Content-Type" in request.headers
    layout = LAYOUTS.get(request.content_type if declared else "")
    charset = (request.charset or "utf-8").lower()
    if layout is not None and charset in ("utf-8", "utf8", "us-ascii"):
        return layout
    detail = (
        "the content type must be application/json (an array of objects) or application/x-ndjson "
        "(one object a line), in UTF-8"
    )
    raise _HttpProblem(_problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_type", detail))


def _key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) <= MOST_KEY and (not key or (key.isascii() and key.isprintable())):
        return key
    detail = f"Idempotency-Key: at most {MOST_KEY} printable ASCII characters"
    raise _HttpProblem(_problem(HTTPStatus.BAD_REQUEST, "bad_key", detail))


async def _body(request: web.Request, most_bytes: int) -> bytes:
    """Return the body, decompressed."""
    try:
        return await read_body(request, most_bytes)
    except UnknownEncodingError:
        detail = "the Content-Encoding must be gzip, or none"
        response = _problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_encoding", detail)
        response.headers["Accept-Encoding"] = "gzip"
    except SlowBodyError:
        detail = f"the body did not arrive within {BODY_SECONDS:g} s"
        response = _problem(HTTPStatus.REQUEST_TIMEOUT, "slow_body", detail)
    except DamagedBodyError as error:
        response = _problem(HTTPStatus.BAD_REQUEST, PostRefusal.MALFORMED, str(error))
    except TooLargeError:
        detail = f"the body has more than {most_bytes:,} bytes (source.http.most_bytes); split it"
        response = _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_bytes", detail)
    raise _HttpProblem(response)


def _accepted(receipt: Receipt) -> web.Response:
    body: dict[str, object] = {"admitted": receipt.admitted, "duplicates": receipt.duplicates}
    if receipt.filtered:
        body["filtered"] = receipt.filtered
    body["rejected"] = [tuple(row) for row in receipt.rejected]
    return web.Response(
        status=HTTPStatus.ACCEPTED, body=orjson.dumps(body), content_type="application/json"
    )


def _refused(error: PostRefusedError) -> web.Response:
    response = _problem(_STATUSES[error.refusal], error.refusal, error.detail)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.refusal in (PostRefusal.CLOSED, PostRefusal.STANDBY):
        response.force_close()  # a new connection may find the dispatcher that leads
    return response


def _unauthorized() -> web.Response:
    detail = "the header Authorization: Bearer must have the token of source.http"
    response = _problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _problem(status: HTTPStatus, reason: str, detail: str) -> web.Response:
    """Return an error as RFC 9457 has it; ``reason`` is a stable word."""
    body = {"title": status.phrase, "status": status, "reason": reason, "detail": detail}
    return web.Response(status=status, body=orjson.dumps(body), content_type=PROBLEM_TYPE)


@web.middleware
async def _as_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Give the server's own errors (an unknown path, another method) the same form."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        status = HTTPStatus(error.status)
        response = _problem(
            status,
            "http",
            f"{request.method} is not for this path; POST to /campaigns/NAME/contacts",
        )
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
