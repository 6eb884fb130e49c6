"""What stands in a request's body, in whichever dialect."""

from collections.abc import Mapping

import orjson

from dispatcher.sandbox.dialect import Call


def json_of(call: Call) -> Mapping[str, object]:
    """Return the body's object; an empty one where there is none."""
    try:
        body = orjson.loads(call.request.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def text_of(body: Mapping[str, object], key: str) -> str | None:
    """Return a text of the object; None for what is empty or no text."""
    value = body.get(key)
    return value if isinstance(value, str) and value else None
