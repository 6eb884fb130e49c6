"""Plays the requests of a document in the sandbox's own dialect: its answers are the examples.

Time is fixed, so that a document is always the same.
"""

from base64 import b64encode
from typing import NamedTuple
from urllib.parse import quote

import orjson

from dispatcher.sandbox.dialect import Call, Dialect
from dispatcher.sandbox.dialects import Moment, dialect_scopes, make_dialect
from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.oauth import Grants
from dispatcher.sandbox.openapi.operation import DialectDescription, Operation, Play
from dispatcher.sandbox.scenario.scenario import Scenario, load
from dispatcher.sandbox.world.effect_log import EffectLog
from dispatcher.sandbox.world.world import World

CORRELATION = "00000001-0000-4000-8000-000000000001"
FORM = b"grant_type=client_credentials"
EXAMPLE_TOKEN = b"kV4uQ1hTn0yq2mJc8sLx"
"""In place of a random one."""
_STARTED = Moment(0.0, 1_796_000_400.0)
_LATER = Moment(60.0, 1_796_000_460.0)


class Played(NamedTuple):
    """A request that was played, and the answer to it."""

    play: Play
    request: Request
    answer: Response


def play_all(api: DialectDescription, operation: Operation) -> list[Played]:
    """Play all requests of an operation, each in a sandbox of its own."""
    return [_play(api, operation, play) for play in operation.plays]


def target(operation: Operation, play: Play) -> str:
    """Return the path of a request, with its query string."""
    path = operation.path
    for value in play.path:
        before, _, rest = path.partition("{")
        path = before + quote(value, safe="") + rest.partition("}")[2]
    return f"{path}?{play.query}" if play.query else path


def _play(api: DialectDescription, operation: Operation, play: Play) -> Played:
    scenario = load({"dialect": api.dialect, "world": {"extra_fields_share": 0.0}, **play.scenario})
    dialect, grants = _sandbox(scenario)
    pair = play.pair or "sandbox-client:sandbox-secret"
    authorization = b"Basic " + b64encode(pair.encode())
    if not operation.is_token:
        issued = grants.issue(FORM, _STARTED.now) or {}
        authorization = f"Bearer {issued['access_token']}".encode()
    request = _request(operation, play, authorization)
    answer = dialect.answer(_call(dialect, grants, request))
    if operation.is_token:
        answer = _with_fixed_token(answer)
    return Played(play, request, answer)


def _sandbox(scenario: Scenario) -> tuple[Dialect, Grants]:
    world = World(scenario.world, scenario.seed)
    grants = Grants(scenario.token, dialect_scopes(scenario.dialect))
    log = EffectLog(None, with_text=False, on_effect=lambda _: None)
    return make_dialect(scenario, world, grants, log, _STARTED), grants


def _request(operation: Operation, play: Play, authorization: bytes) -> Request:
    body = b"" if play.body is None else orjson.dumps(play.body)
    if isinstance(play.body, str):
        body = play.body.encode()
    path = target(operation, play).encode()
    return Request(operation.method.encode(), path, authorization, body, keep_alive=True)


def _call(dialect: Dialect, grants: Grants, request: Request) -> Call:
    endpoint, id_ = dialect.route(request)
    token = grants.find(request.authorization, _LATER.now)
    return Call(
        request, endpoint, id_, CORRELATION, _LATER.now, _LATER.wall, grants=grants, token=token
    )


def _with_fixed_token(answer: Response) -> Response:
    body = orjson.loads(answer.body)
    if "access_token" in body:
        body["access_token"] = EXAMPLE_TOKEN.decode()
    return answer._replace(body=orjson.dumps(body))
