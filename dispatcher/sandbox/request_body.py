"""Reading the JSON body of a request, in either dialect."""

from collections.abc import Mapping

import orjson

from dispatcher.sandbox.dialect import Call


def body_object(call: Call) -> Mapping[str, object]:
    """Return the body's object; an empty one if the body is not a JSON object."""
    try:
        body = orjson.loads(call.request.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def text_at(body: Mapping[str, object], key: str) -> str | None:
    """Return a text of the object; None if it is empty or not a text."""
    value = body.get(key)
    return value if isinstance(value, str) and value else None
