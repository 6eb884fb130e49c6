"""The official SDK of the public API as a client of the sandbox, and its models as a yardstick."""

import ast
import asyncio
import importlib.util
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.lazy_imports import Lazily


@contextmanager
def _empty_home() -> Iterator[None]:
    """Hide somebody's home: the SDK's one configuration is made when it is imported.

    By itself it watches all folders of the home for a change of its file.
    """
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / ".genesyscloudpython" / "config"
        file.parent.mkdir()
        file.write_text("[general]\nlive_reload_config = false\n")
        with mock.patch.dict(os.environ, HOME=home):
            yield


SDK = Lazily("PureCloudPlatformClientV2", _empty_home)


def fields_of_model(name: str) -> dict[str, str]:
    """Return the type of each field of a model, out of its source.

    The whole SDK takes seconds to import, and this much is written in one file of it.

    Raises:
        FileNotFoundError: the SDK has no such model.

    """
    package = importlib.util.find_spec("PureCloudPlatformClientV2")
    assert package is not None
    assert package.origin is not None
    file = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    source = Path(package.origin).with_name("models") / f"{file}.py"
    maps = {
        statement.targets[0].attr: ast.literal_eval(statement.value)
        for statement in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Attribute)
        and statement.targets[0].attr in ("swagger_types", "attribute_map")
    }
    kinds, shown = maps["swagger_types"], maps["attribute_map"]
    return {key: kinds[name] for name, key in shown.items()}


_INNER = re.compile(r"(list|dict)[\[(](?:\w+, )?(.*)[\])]")


class Client:
    """The SDK against one URL, which serves tokens and the API alike.

    It is synchronous, so that each call runs in a thread. It does not retry: by itself it
    repeats a send up to ten times when the connection drops.
    """

    def __init__(self, url: str) -> None:
        configuration = SDK.Configuration()
        configuration.host = url
        self.api = SDK.ApiClient(host=url)
        pool = self.api.get_http_client().rest_client.pool_manager
        pool.connection_pool_kw["retries"] = False
        self.pool = pool
        self.conversations = SDK.ConversationsApi(self.api)
        self.analytics = SDK.AnalyticsApi(self.api)
        self.tokens = SDK.TokensApi(self.api)

    async def login(
        self, client_id: str = "sandbox-client", secret: str = "sandbox-secret"
    ) -> None:
        """Fetch a token."""
        await asyncio.to_thread(self.api.get_client_credentials_token, client_id, secret)

    async def call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the SDK; what it answers must fit its own models to the last field."""
        answer = await asyncio.to_thread(method, *args, **kwargs)
        if hasattr(answer, "swagger_types"):
            raw = json.loads(self.api.last_response.data)
            assert not list(misfits(raw, type(answer).__name__, answer))
        return answer

    def read_as(self, name: str, raw: dict[str, Any]) -> Any:
        """Deserialise a body into one of the models."""

        class Response:
            data = json.dumps(raw)

            @staticmethod
            def getheader(_name: str) -> str:
                return "application/json"

        return self.api.deserialize(Response, name)

    def close(self) -> None:
        """Close the connections."""
        self.pool.clear()


def misfits(raw: Any, kind: str, read: Any, where: str = "") -> Iterator[str]:
    """Return what the model ``kind`` has no field for, or reads as something else."""
    inner = _INNER.fullmatch(kind)
    if raw is None:
        return
    if inner is not None:
        items = enumerate(raw) if inner[1] == "list" else raw.items()
        for key, item in items:
            yield from misfits(item, inner[2], read[key], f"{where}[{key}]")
    elif hasattr(SDK.models, kind):
        yield from _misfits_of_model(raw, kind, read, where)
    elif kind in ("str", "int", "float", "bool") and read != raw:
        yield f"{where}: {raw!r} is read as {read!r}"
    elif kind == "datetime" and not hasattr(read, "tzinfo"):
        yield f"{where}: {raw!r} is no time"


def _misfits_of_model(raw: dict[str, Any], kind: str, read: Any, where: str) -> Iterator[str]:
    names = {shown: name for name, shown in read.attribute_map.items()}
    for key, value in raw.items():
        if key not in names:
            yield f"{where}.{key}: {kind} has no such field"
            continue
        name = names[key]
        yield from misfits(value, read.swagger_types[name], getattr(read, name), f"{where}.{key}")
