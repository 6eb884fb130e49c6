"""Which connection a request gets: kept, new, or after a wait."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from dispatcher.domain.answer import NoAnswer
from dispatcher.engine.clock import SystemClock
from dispatcher.platforms import http_pool
from dispatcher.platforms.http import HttpClient, HttpOptions
from tests.support.rawserver import json_answer, raw_server, saying

WHOLE = json_answer(200, {"id": "x"})


@asynccontextmanager
async def client_at(url, **options):
    async with HttpClient(HttpOptions(**{"timeout": 5.0} | options), SystemClock()) as client:
        origin = client.origin(URL(url))

        async def get(target="/"):
            result, _ = await client.request(origin, "GET", target, {})
            return result

        yield get


async def test_at_most_so_many_connections_are_in_use_and_those_who_wait_get_them_in_order():
    """A place is handed on: a request that comes later does not get ahead of one that waits."""
    release = asyncio.Semaphore(0)

    async def slow(_, peer):
        await release.acquire()
        await peer.say(WHOLE)

    async with raw_server(slow) as server, client_at(server.url, connections=2) as get:
        tasks = [asyncio.create_task(get(f"/{number}")) for number in range(6)]
        await server.until(2)
        for number, task in enumerate(tasks):
            assert len(server.requests) <= 2 + number
            release.release()
            assert (await task).status == 200
        assert [request.target for request in server.requests] == [f"/{n}" for n in range(6)]
        assert server.connections == 2


async def test_a_failed_connection_gives_its_place_back():
    """Errors and timeouts of connecting use up nothing."""
    async with raw_server(saying(WHOLE)) as server, client_at(server.url, connections=1) as get:
        port = server.url.rpartition(":")[2]
    async with client_at(f"http://127.0.0.1:{port}", connections=1, connect_timeout=0.2) as get:
        found = [await get() for _ in range(3)]
    assert all(isinstance(result, NoAnswer) for result in found)
    assert {result.detail for result in found} == {
        "the connection is refused: nothing listens on this port"
    }


async def test_connections_that_are_not_used_are_closed(monkeypatch):
    """After the time for which they are kept, and not before."""
    monkeypatch.setattr(http_pool, "KEPT_SECONDS", 0.2)
    async with raw_server(saying(WHOLE)) as server, client_at(server.url) as get:
        await asyncio.gather(*(get() for _ in range(5)))
        assert server.connections == 5
        await asyncio.gather(get(), get())
        assert server.connections == 5
        for _ in range(500):
            await asyncio.sleep(0.01)
            if all(peer.reader.at_eof() for peer in server.peers):
                break
        assert all(peer.reader.at_eof() for peer in server.peers)
        assert (await get()).status == 200
        assert server.connections == 6


async def test_two_origins_of_one_server_share_its_connections():
    """Two OAuth clients of one region, for example."""
    async with (
        raw_server(saying(WHOLE)) as server,
        HttpClient(HttpOptions(timeout=5.0), SystemClock()) as client,
    ):
        for url in (URL(server.url), URL(server.url) / "api"):
            result, _ = await client.request(client.origin(url), "GET", "/", {})
            assert result.status == 200
        assert server.connections == 1


@pytest.mark.parametrize("closes", [b"Connection: close\r\n", b""])
async def test_a_connection_that_the_server_will_close_is_not_kept(closes):
    """Even if it has not closed it yet."""
    head = b"HTTP/1.1 200 OK\r\n" + closes + b"Content-Length: 2\r\n\r\n{}"
    async with raw_server(saying(head)) as server, client_at(server.url) as get:
        await get()
        await get()
        assert server.connections == (2 if closes else 1)
