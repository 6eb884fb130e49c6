"""Compares answers of the sandbox with the OpenAPI document of its dialect, strictly.

jsonschema checks the bodies. Objects have no fields but the documented ones, and those that state
checks have for a share of the conversations.
"""

import json
import re
from copy import deepcopy
from functools import cache

from jsonschema import Draft202012Validator

from dispatcher.sandbox.openapi.document import APIS, document

EXTRA_FIELDS = {"engagementScore": {"type": "number"}, "journey": {"type": "object"}}
"""What no contract names; see ``world.extra_fields_share``."""
COMMON = (401, 404, 429)
"""What is answered to a request that fits no operation: only errors of these statuses."""


class Contract:
    """The document of one dialect."""

    def __init__(self, dialect):
        self.document = document(dialect)
        self.schemas = _strict(self.document["components"]["schemas"])
        self.operations = [
            (method.upper(), _pattern(path), operation)
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
        ]
        self._validators = {}

    def operation(self, method, target):
        """Return the operation of a request, the most exact one; None if there is none."""
        path = target.partition("?")[0]
        fitting = [
            (pattern.groups, number, operation)
            for number, (name, pattern, operation) in enumerate(self.operations)
            if name == method and pattern.fullmatch(path)
        ]
        return min(fitting, key=lambda found: found[:2])[2] if fitting else None

    def check(self, method, target, status, headers, body):
        """Fail if an answer is not as the document says."""
        operation = self.operation(method, target)
        if operation is None:
            assert status in COMMON, f"{method} {target}: {status} without an operation"
            self.validate({"$ref": "#/components/schemas/ApiError"}, json.loads(body))
            return
        documented = operation["responses"].get(str(status))
        assert documented, f"{method} {target}: {status} is not in the document"
        for name in documented["headers"]:
            header = self.document["components"]["headers"][name]
            assert name in headers or not header.get("required"), f"{method} {target}: no {name}"
            if name in headers:
                value = headers[name]
                is_number = header["schema"]["type"] == "integer"
                self.validate(header["schema"], int(value) if is_number else value)
        content = documented.get("content", {})
        if not body and not content:
            return
        media = headers["Content-Type"].partition(";")[0]
        assert media in content, f"{method} {target}: {status} with {media}"
        self.validate(content[media]["schema"], body if media == "text/html" else json.loads(body))

    def validate(self, schema, value):
        """Fail if a value does not fit a schema of the document."""
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {**schema, "components": {"schemas": self.schemas}}
            self._validators[key] = Draft202012Validator(whole)
        self._validators[key].validate(value)


@cache
def contract(dialect):
    """Return the contract of a dialect."""
    return Contract(dialect)


def dialect_of(token_path):
    """Return the dialect with this path for tokens."""
    return next(name for name, api in APIS.items() if api.token_path == token_path)


def _pattern(path):
    """Return the pattern of a path; each parameter is a group."""
    parts = re.split(r"\{\w+\}", path)
    return re.compile("([^/]+)".join(map(re.escape, parts)))


def _strict(schemas):
    schemas = deepcopy(schemas)
    for name, schema in schemas.items():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        if name in ("ConversationState", "MessageConversation"):
            schema["properties"].update(EXTRA_FIELDS)
    return schemas
