"""The OpenAPI 3.1 document of a dialect, from its operations and what they answer when played."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dispatcher.sandbox.dialect import Call
from dispatcher.sandbox.fault_injection import FAULT_ANSWERS
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Request
from dispatcher.sandbox.http.responses import HTML, Response
from dispatcher.sandbox.openapi.bodies import ApiError
from dispatcher.sandbox.openapi.examples import CORRELATION, Played, play_all
from dispatcher.sandbox.openapi.genesys import GENESYS_API
from dispatcher.sandbox.openapi.messaging import MESSAGING_API
from dispatcher.sandbox.openapi.operation import DialectDescription, Operation
from dispatcher.sandbox.scenario.model import Fault, Limit
from dispatcher.sandbox.scenario.value_types import DialectName

Json = dict[str, Any]

APIS: dict[DialectName, DialectDescription] = {
    "messaging": MESSAGING_API,
    "genesys": GENESYS_API,
}
DEFAULT_SERVER = "http://127.0.0.1:8080"
_VERSION = "2.0"
_FAULTS = (
    ("server_error", "error_500", "a fault: an error of the server"),
    ("bad_gateway", "error_502", "a fault: a page of a proxy"),
    ("unavailable", "error_503_json", "a fault: the platform is not available"),
    ("proxy", "error_503_html", "a fault: a page of a proxy"),
    ("page", "html_200", "a fault: a page in place of the answer"),
    ("login", "redirect", "a fault: a redirect"),
)
_QUOTA = 60
_HEADERS: Json = {
    "ININ-Correlation-Id": {
        "description": "The id of this answer.",
        "required": True,
        "schema": {"type": "string"},
        "example": CORRELATION,
    },
    "inin-ratelimit-count": {
        "description": "Requests in this window; missing if the scenario has no rate headers.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 17,
    },
    "inin-ratelimit-allowed": {
        "description": "Permitted requests in a window.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 300,
    },
    "inin-ratelimit-reset": {
        "description": "Seconds until the window ends.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 42,
    },
    "Retry-After": {
        "description": "Seconds until a request is permitted again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": _QUOTA,
    },
    "Location": {
        "description": "Where the redirect leads to.",
        "required": True,
        "schema": {"type": "string"},
        "example": "/login",
    },
}
_RATE = ("inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset")


class _Answer(NamedTuple):
    """One answer of an operation, with the key and the summary of its example."""

    name: str
    summary: str
    response: Response


def document(dialect: DialectName, server: str = DEFAULT_SERVER) -> Json:
    """Return the document of a dialect whose sandbox has this address."""
    api = APIS[dialect]
    paths: defaultdict[str, Json] = defaultdict(dict)
    for operation in api.operations:
        played = play_all(api, operation)
        paths[operation.path][operation.method.lower()] = _operation(api, operation, played)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": api.title,
            "version": _VERSION,
            "description": api.text,
            "contact": {"name": "The dispatcher's contributors"},
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server, "description": "`dispatcher sandbox`"}],
        "tags": [{"name": name, "description": text} for name, text in api.tags.items()],
        "paths": dict(paths),
        "components": {
            "securitySchemes": _security_schemes(api),
            "headers": _HEADERS,
            "schemas": _schemas(api),
        },
    }


def _operation(api: DialectDescription, operation: Operation, played: Sequence[Played]) -> Json:
    scopes = operation.scopes or ((),)
    wanted = [{"token": [scope] if scope else []} for scope in scopes]
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "security": [{"client": []}] if operation.is_token else wanted,
    }
    if parameters := list(_parameters(api, operation)):
        described["parameters"] = parameters
    if operation.request is not None:
        described["requestBody"] = _request_body(operation, played)
    described["responses"] = _responses(operation, played)
    return described


def _parameters(api: DialectDescription, operation: Operation) -> Iterator[Json]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    for number, name in enumerate(names):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": api.parameters[name],
            "schema": {"type": "string", "minLength": 1},
            "example": operation.plays[0].path[number],
        }
    for query in operation.query:
        yield {
            "name": query.name,
            "in": "query",
            "required": True,
            "description": query.description,
            "schema": {"type": "string", "minLength": 1},
            "example": query.example,
        }


def _request_body(operation: Operation, played: Sequence[Played]) -> Json:
    """Describe the body; its examples are those that are accepted."""
    model = operation.request.__name__ if operation.request else ""
    media = "application/x-www-form-urlencoded" if operation.is_token else "application/json"
    good = [item for item in played if item.answer.status < HTTPStatus.BAD_REQUEST]
    examples = {
        item.play.name: {"summary": item.play.summary, "value": _form(item.play.body)}
        for item in good
        if not item.play.scenario
    }
    content = {media: {"schema": _reference(model), "examples": examples}}
    return {"required": True, "content": content}


def _form(body: object) -> object:
    """Return a body as a value: of a form its fields."""
    return dict([body.split("=", 1)]) if isinstance(body, str) else body


def _responses(operation: Operation, played: Sequence[Played]) -> Json:
    answers = [_Answer(item.play.name, item.play.summary, item.answer) for item in played]
    by_status: defaultdict[int, list[_Answer]] = defaultdict(list)
    for answer in (*answers, *_common(operation)):
        by_status[answer.response.status].append(answer)
    by_status[HTTPStatus.FOUND] += [
        answer._replace(response=answer.response._replace(status=HTTPStatus.FOUND))
        for answer in by_status[HTTPStatus.TEMPORARY_REDIRECT]
        if answer.name == "login"
    ]
    return {
        str(status): _response(operation, status, by_status[status]) for status in sorted(by_status)
    }


def _common(operation: Operation) -> Iterator[_Answer]:
    """Yield the answers that do not depend on the operation."""
    if not operation.is_token:
        unauthorized = error_responses.unauthorized(CORRELATION, "token")
        yield _Answer("token", "the token is not known, or has expired", unauthorized)
        yield _Answer(
            "quota", "the quota is used up", error_responses.too_many(CORRELATION, _QUOTA)
        )
        limit = Limit(key="messages.daily", endpoint="notify")
        used_up = error_responses.too_many(CORRELATION, 3600, limit)
        yield _Answer("limit", "another limit is used up", used_up)
    request = Request(b"GET", b"/", b"", b"", keep_alive=True)
    call = Call(request, operation.endpoints[0], "", CORRELATION, 0.0, 0.0)
    for name, kind, summary in _FAULTS:
        fault = Fault(kind=kind)  # type: ignore[arg-type]  # the names of the table above
        yield _Answer(name, summary, FAULT_ANSWERS[fault.kind](call, fault))


def _response(operation: Operation, status: int, answers: Sequence[_Answer]) -> Json:
    reasons = "; ".join(dict.fromkeys(answer.summary for answer in answers))
    described: Json = {
        "description": f"{HTTPStatus(status).phrase}: {reasons}.",
        "headers": {name: _header(name) for name in _header_names(operation, status)},
    }
    content: Json = {}
    for media, own in _by_media(answers).items():
        examples = {
            answer.name: {"summary": answer.summary, "value": _value(answer.response)}
            for answer in own
        }
        content[media] = {"schema": _answer_schema(operation, status, media), "examples": examples}
    return {**described, "content": content} if content else described


def _by_media(answers: Sequence[_Answer]) -> dict[str, list[_Answer]]:
    by_media: defaultdict[str, list[_Answer]] = defaultdict(list)
    for answer in answers:
        if answer.response.body:
            is_page = answer.response.content_type == HTML
            by_media["text/html" if is_page else "application/json"].append(answer)
    return by_media


def _value(answer: Response) -> object:
    is_page = answer.content_type == HTML
    return answer.body.decode() if is_page else orjson.loads(answer.body)


def _answer_schema(operation: Operation, status: int, media: str) -> Json:
    if media == "text/html":
        return {"type": "string"}
    if status >= HTTPStatus.BAD_REQUEST:
        of_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return _reference((ApiError if of_fault else operation.error).__name__)
    if operation.answer is None:
        return {"type": "string", "maxLength": 0}
    return _reference(operation.answer.__name__)


def _header_names(operation: Operation, status: int) -> Iterator[str]:
    yield "ININ-Correlation-Id"
    if not operation.is_token and status != HTTPStatus.UNAUTHORIZED:
        yield from _RATE
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        yield "Retry-After"
    if status in (HTTPStatus.FOUND, HTTPStatus.TEMPORARY_REDIRECT):
        yield "Location"


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


def _reference(model: str) -> Json:
    return {"$ref": f"#/components/schemas/{model}"}


def _security_schemes(api: DialectDescription) -> Json:
    return {
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "Id and secret of the client: `sandbox-client` and `sandbox-secret`.",
        },
        "token": {
            "type": "oauth2",
            "description": "A bearer token of the token request.",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": api.token_path,
                    "scopes": dict(api.scopes),
                }
            },
        },
    }


def _schemas(api: DialectDescription) -> Json:
    """Return the schemas of all bodies, by the names of their models."""
    models: dict[type[BaseModel], None] = {ApiError: None}
    for operation in api.operations:
        for model in (operation.request, operation.answer, operation.error):
            if model is not None:
                models[model] = None
    _, schema = models_json_schema(
        [(model, "validation") for model in models],
        ref_template="#/components/schemas/{model}",
    )
    definitions: Json = _plain(schema["$defs"])
    return dict(sorted(definitions.items()))


def _plain(schema: Any) -> Any:
    """Return a schema without the titles of pydantic, and without defaults that are no values."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
    }
