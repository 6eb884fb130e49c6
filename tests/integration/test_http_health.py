"""Health over real HTTP."""

import socket

import aiohttp
import pytest

from dispatcher.domain.events import Settled
from dispatcher.domain.status import Reason, Status
from dispatcher.http_server.health import HealthAddressError, HealthServer
from dispatcher.telemetry.stats.as_json import as_json
from dispatcher.telemetry.stats.run_stats import RunStats


async def test_the_three_pages():
    """/healthz is 200, /readyz follows readiness, /status is the tally as JSON."""
    tally, ready = RunStats(), [False]
    tally.emit(
        Settled("k", "c", Status.PARKED, Reason.IDENTITY, None, None, None, "r", seconds=1.0)
    )
    server = HealthServer(
        "127.0.0.1", 0, status=lambda: as_json(tally.snapshot()), ready=lambda: ready[0]
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(server.address) as client:
            assert (await client.get("/healthz")).status == 200
            assert (await client.get("/readyz")).status == 503
            ready[0] = True
            assert (await client.get("/readyz")).status == 200
            answer = await client.get("/status")
            assert answer.content_type == "application/json"
            assert (await answer.json())["settled"] == {"parked": {"identity": 1}}
            assert (await client.post("/status")).status == 405
            assert (await client.get("/")).status == 404
    finally:
        await server.stop()
    await server.stop()


async def test_after_the_stop_nobody_listens():
    """The port is free again once the server was stopped."""
    server = HealthServer("127.0.0.1", 0, status=dict, ready=lambda: True)
    await server.start()
    port = int(server.address.rsplit(":", 1)[1])
    await server.stop()
    again = HealthServer("127.0.0.1", port, status=dict, ready=lambda: True)
    await again.start()
    await again.stop()


async def test_a_port_that_is_taken():
    """The error names the address and the setting, and is an OSError."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = HealthServer("127.0.0.1", port, status=dict, ready=lambda: True)
        with pytest.raises(HealthAddressError) as caught:
            await server.start()
    assert isinstance(caught.value, OSError)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "telemetry.health_port" in str(caught.value)


async def test_an_address_that_is_not_ours():
    """An address of another machine is told apart from a port that is taken."""
    server = HealthServer("192.0.2.1", 8099, status=dict, ready=lambda: True)
    with pytest.raises(HealthAddressError, match=r"192\.0\.2\.1:8099.*telemetry\.health_host"):
        await server.start()
