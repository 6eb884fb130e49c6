"""The Postman collection of a dialect, from its OpenAPI document.

Every example of the document is a saved response. A request runs as it is: the token request of the
collection stores the token for all others.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from dispatcher.sandbox.http.responses import HTML
from dispatcher.sandbox.openapi.document import APIS, DEFAULT_SERVER, Json
from dispatcher.sandbox.openapi.examples import Played, play_all, target
from dispatcher.sandbox.openapi.operation import DialectDescription, Operation
from dispatcher.sandbox.scenario.value_types import DialectName

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_KEEP_TOKEN = (
    "if (pm.response.code === 200) {",
    "    pm.collectionVariables.set('token', pm.response.json().access_token);",
    "}",
)
_SAME_STATUS = "pm.test('{status}', () => pm.response.to.have.status({status}));"


def collection(dialect: DialectName) -> Json:
    """Return the collection of a dialect."""
    api = APIS[dialect]
    return {
        "info": {"name": api.title, "description": api.text, "schema": SCHEMA},
        "item": [_folder(api, tag, text) for tag, text in api.tags.items()],
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}],
        },
        "variable": [
            {"key": "baseUrl", "value": DEFAULT_SERVER},
            {"key": "clientId", "value": "sandbox-client"},
            {"key": "clientSecret", "value": "sandbox-secret"},
            {"key": "token", "value": ""},
        ],
    }


def _folder(api: DialectDescription, tag: str, text: str) -> Json:
    items = [
        item
        for operation in api.operations
        if operation.tag == tag
        for item in _items(operation, play_all(api, operation))
    ]
    return {"name": tag, "description": text, "item": items}


def _items(operation: Operation, played: list[Played]) -> Iterator[Json]:
    """Yield a request for each status that the sandbox answers without a scenario of its own."""
    by_status: dict[int, Played] = {}
    for item in played:
        if not item.play.scenario and not item.play.pair:
            by_status.setdefault(item.answer.status, item)
    for status, item in by_status.items():
        saved = [_saved(operation, other) for other in played if other.answer.status == status]
        name = f"{operation.summary}: {status}, {item.play.summary}"
        yield {
            "name": name,
            "event": [_script(operation, status)],
            "request": _request(operation, item),
            "response": saved,
            "protocolProfileBehavior": {"followRedirects": False},
        }


def _script(operation: Operation, status: int) -> Json:
    keep = _KEEP_TOKEN if operation.is_token else ()
    lines = [_SAME_STATUS.format(status=status), *keep]
    return {"listen": "test", "script": {"type": "text/javascript", "exec": lines}}


def _request(operation: Operation, item: Played) -> Json:
    request: Json = {
        "method": operation.method,
        "description": operation.description,
        "header": [],
        "url": _url(target(operation, item.play)),
    }
    if operation.is_token:
        pair = (("username", "{{clientId}}"), ("password", "{{clientSecret}}"))
        basic = [{"key": key, "value": value, "type": "string"} for key, value in pair]
        fields = parse_qsl(item.request.body.decode())
        form = [{"key": key, "value": value, "type": "text"} for key, value in fields]
        return {
            **request,
            "auth": {"type": "basic", "basic": basic},
            "body": {"mode": "urlencoded", "urlencoded": form},
        }
    if item.request.body:
        request["header"] = [{"key": "Content-Type", "value": "application/json"}]
        request["body"] = {
            "mode": "raw",
            "raw": _indented(item.request.body),
            "options": {"raw": {"language": "json"}},
        }
    return request


def _url(path: str) -> Json:
    parts = urlsplit(path)
    url: Json = {
        "raw": "{{baseUrl}}" + path,
        "host": ["{{baseUrl}}"],
        "path": parts.path.strip("/").split("/"),
    }
    query = [{"key": key, "value": value} for key, value in parse_qsl(parts.query)]
    return {**url, "query": query} if query else url


def _saved(operation: Operation, item: Played) -> Json:
    is_page = item.answer.content_type == HTML
    media = item.answer.content_type.decode()
    return {
        "name": item.play.summary,
        "originalRequest": _request(operation, item),
        "status": HTTPStatus(item.answer.status).phrase,
        "code": item.answer.status,
        "header": [{"key": "Content-Type", "value": media}],
        "cookie": [],
        "body": item.answer.body.decode() if is_page else _indented(item.answer.body),
        "_postman_previewlanguage": "html" if is_page else "json",
    }


def _indented(body: bytes) -> str:
    if not body:
        return ""
    value: Any = orjson.loads(body)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
