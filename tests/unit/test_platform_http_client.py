"""The parts of aiohttp below its session that `dispatcher.platforms.http` uses are there.

A newer aiohttp may change them without notice. Then one sentence for each says what is missing.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import aiohttp
import pytest
from aiohttp import base_protocol, client_proto, connector, http, http_exceptions  # noqa: F401 - found by path
from yarl import URL

USED = {
    "TCPConnector": {"limit": 0, "ssl": True, "ttl_dns_cache": 1},
    "TCPConnector.connect": {"self": None, "req": None, "traces": [], "timeout": None},
    "TCPConnector.close": {"self": None},
    "ClientRequest": {"method": "GET", "url": URL(), "proxy": None},
    "ClientRequest.is_ssl": {"self": None},
    "ClientTimeout": {},
    "connector.Connection.protocol": None,
    "connector.Connection.close": {"self": None},
    "base_protocol.BaseProtocol": {"loop": None},
    "client_proto.ResponseHandler.transport": None,
    "client_proto.ResponseHandler.should_close": None,
    "client_proto.ResponseHandler.connection_lost": {"self": None, "exc": None},
    "http.HttpResponseParser": None,
    "http.HttpResponseParser.feed_data": None,
    "http.HttpResponseParser.feed_eof": None,
    "http.RawResponseMessage.code": None,
    "http.RawResponseMessage.headers": None,
    "http.RawResponseMessage.should_close": None,
    "StreamReader.exception": {"self": None},
    "StreamReader.is_eof": {"self": None},
    "StreamReader.read_nowait": {"self": None},
    "ClientError": None,
    "ClientConnectionError": None,
    "ClientOSError": None,
    "ClientPayloadError": None,
    "ServerDisconnectedError": None,
    "ClientResponseError": {"request_info": None, "history": (), "status": 1, "message": ""},
    "http_exceptions.HttpProcessingError": {"code": 1, "message": ""},
    "encode_basic_auth": {"login": "", "password": ""},
}
"""Attributes of aiohttp by their path, and the arguments that they are called with."""
COROUTINES = ("TCPConnector.connect",)
ADVICE = "keep aiohttp below this version in pyproject.toml, or adapt dispatcher/platforms/http.py"


def problems(look_up: Callable[[str], Any]) -> Iterator[str]:
    """Yield one sentence for each used part that is missing or has changed."""
    for path, arguments in USED.items():
        try:
            part = look_up(path)
            if arguments is not None:
                inspect.signature(part).bind(**arguments)
        except AttributeError:
            problem = "is missing"
        except TypeError as error:
            problem = f"does not take the arguments {', '.join(arguments)} ({error})"
        else:
            if path not in COROUTINES or inspect.iscoroutinefunction(part):
                continue
            problem = "is not a coroutine function"
        yield f"aiohttp {aiohttp.__version__}: aiohttp.{path} {problem}: {ADVICE}"


def installed(path):
    return attrgetter(path)(aiohttp)


def changed(changed_path, part=None):
    """Look up in a client in which one part is gone, or is another one."""

    def look_up(path):
        if path != changed_path:
            return installed(path)
        if part is None:
            raise AttributeError(path)
        return part

    return look_up


def test_the_installed_client_has_every_part_that_is_used():
    assert list(problems(installed)) == []


@pytest.mark.parametrize("path", USED)
def test_a_part_that_is_missing_is_named(path):
    (problem,) = problems(changed(path))
    assert f"aiohttp.{path} is missing: keep aiohttp below" in problem


@pytest.mark.parametrize("path", [path for path, arguments in USED.items() if arguments])
def test_a_part_that_takes_other_arguments_is_named(path):
    (problem,) = problems(changed(path, lambda *, renamed: renamed))
    assert f"aiohttp.{path} does not take the arguments" in problem


@pytest.mark.parametrize("path", COROUTINES)
def test_a_part_that_is_no_longer_a_coroutine_function_is_named(path):
    (problem,) = problems(changed(path, lambda **_: None))
    assert f"aiohttp.{path} is not a coroutine function" in problem


async def test_a_request_knows_its_host_before_it_is_sent():
    """`Origin` writes its head with it, and connects by it."""
    request = aiohttp.ClientRequest("GET", URL("https://api.example:8443"), proxy=None)
    assert (request.headers["Host"], request.is_ssl()) == ("api.example:8443", True)


async def test_the_parser_takes_its_arguments_and_returns_head_and_body():
    """Its signature cannot be inspected."""
    parser = http.HttpResponseParser(
        base_protocol.BaseProtocol(asyncio.get_running_loop()), None, 1 << 30,
        payload_exception=aiohttp.ClientPayloadError, read_until_eof=True,
    )  # fmt: skip
    messages, is_upgraded, _ = parser.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    ((head, payload),) = messages
    assert (head.code, head.should_close, is_upgraded, payload.is_eof()) == (
        200,
        False,
        False,
        True,
    )
    assert (payload.exception(), payload.read_nowait()) == (None, b"hi")


def test_the_clients_errors_have_what_is_shown_of_them():
    error = aiohttp.ClientResponseError(None, (), status=407, message="no")
    assert (error.status, error.message) == (407, "no")
    assert issubclass(aiohttp.ServerTimeoutError, TimeoutError)
