"""What a collection of the Postman Collection Format v2.1.0 must be, as far as ours use it.

The schema is stricter than the format: it has no place for a key that our collections do not need,
so that a key which is written wrong is found. What a schema cannot say follows from the whole
collection.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote

from jsonschema import Draft7Validator

TEXT = {"type": "string"}
NAME = {"type": "string", "minLength": 1}


def _list_of(items, **more):
    return {"type": "array", "items": items, **more}


def _of(required, **optional):
    """Return the schema of an object with these keys and no other."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _ref(name):
    return {"$ref": f"#/definitions/{name}"}


def _auth(kind):
    attribute = _of({"key": NAME, "value": TEXT, "type": {"const": "string"}})
    return _of({"type": {"const": kind}, kind: _list_of(attribute, minItems=1)})


_PAIR = _of({"key": NAME, "value": TEXT})
_RAW = _of(
    {"mode": {"const": "raw"}, "raw": TEXT},
    options=_of(
        {"raw": _of({"language": {"enum": ["json", "text", "xml", "html", "javascript"]}})}
    ),
)
_FORM = _of(
    {
        "mode": {"const": "urlencoded"},
        "urlencoded": _list_of(_of({"key": NAME, "value": TEXT}, type={"const": "text"})),
    }
)
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "definitions": {
        "auth": {"oneOf": [_auth("basic"), _auth("bearer")]},
        "event": _of(
            {
                "listen": {"enum": ["test", "prerequest"]},
                "script": _of({"type": {"const": "text/javascript"}, "exec": _list_of(TEXT)}),
            }
        ),
        "folder": _of(
            {"name": NAME, "item": _list_of(_ref("item"), minItems=1)}, description=TEXT
        ),
        "item": _of(
            {"name": NAME, "request": _ref("request")},
            event=_list_of(_ref("event")),
            response=_list_of(_ref("response")),
            protocolProfileBehavior=_of({}, followRedirects={"type": "boolean"}),
        ),
        "request": _of(
            {"method": {"enum": ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"]},
             "url": _ref("url"), "header": _list_of(_PAIR)},
            auth=_ref("auth"), body={"oneOf": [_RAW, _FORM]}, description=TEXT,
        ),
        "response": _of(
            {"name": NAME, "originalRequest": _ref("request"), "status": NAME,
             "code": {"type": "integer", "minimum": 100, "maximum": 599},
             "header": _list_of(_PAIR), "body": TEXT},
            cookie=_list_of(_of({"domain": NAME, "path": NAME})),
            _postman_previewlanguage={"enum": ["json", "html", "text", "xml"]},
        ),
        "url": _of(
            {"raw": NAME, "host": _list_of(NAME, minItems=1), "path": _list_of(NAME, minItems=1)},
            query=_list_of(_PAIR, minItems=1),
        ),
    },
    **_of(
        {
            "info": _of(
                {
                    "name": NAME,
                    "schema": {
                        "const": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
                    },
                },
                description=TEXT,
            ),
            "item": _list_of(_ref("folder"), minItems=1),
        },
        auth=_ref("auth"),
        variable=_list_of(_PAIR),
    ),
}  # fmt: skip


def faults(collection) -> Iterator[str]:
    """Yield what is wrong with a collection, with its place."""
    Draft7Validator.check_schema(SCHEMA)
    errors = [*Draft7Validator(SCHEMA).iter_errors(collection)]
    for error in errors:
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
    if errors:
        return
    yield from _variable_faults(collection)
    for folder in collection["item"]:
        names = [item["name"] for item in folder["item"]]
        yield from (f"{folder['name']}: {n!r} twice" for n in {*names} if names.count(n) > 1)
        for item in folder["item"]:
            yield from _item_faults(item)


def _variable_faults(collection) -> Iterator[str]:
    """Yield variables that are used and not defined, and those that nothing uses."""
    defined = {variable["key"] for variable in collection["variable"]}
    used = set(re.findall(r"\{\{([^{}]+)\}\}", str({**collection, "variable": []})))
    yield from (f"the variable {name} is not defined" for name in sorted(used - defined))
    yield from (f"the variable {name} is not used" for name in sorted(defined - used))


def _item_faults(item) -> Iterator[str]:
    """Yield what is wrong with a request and the responses that are saved with it."""
    for request in (item["request"], *(saved["originalRequest"] for saved in item["response"])):
        if (built := _built(request["url"])) != request["url"]["raw"]:
            yield f"{item['name']}: the parts of its URL are {built}, not {request['url']['raw']}"
        if request["method"] == "GET" and "body" in request:
            yield f"{item['name']}: a GET has a body, which is not sent"
        types = [pair["value"] for pair in request["header"] if pair["key"] == "Content-Type"]
        is_raw = request.get("body", {}).get("mode") == "raw"
        if types != (["application/json"] if is_raw else []):
            yield f"{item['name']}: its body is sent as {types}"
    if not item["response"]:
        yield f"{item['name']}: no response is saved with it"


def _built(url) -> str:
    """Return the URL as it is put together from its parts."""
    query = "&".join(
        f"{quote(pair['key'], safe='')}={quote(pair['value'], safe=':/,')}"
        for pair in url.get("query", ())
    )
    return ".".join(url["host"]) + "/" + "/".join(url["path"]) + (f"?{query}" if query else "")
