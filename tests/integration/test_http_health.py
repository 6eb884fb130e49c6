"""Health over real HTTP."""

import socket
from contextlib import AsyncExitStack

import aiohttp
import pytest

from dispatcher.domain.events import Settled
from dispatcher.domain.status import Reason, Status
from dispatcher.http_server.health import HealthAddressError, serve_health
from dispatcher.telemetry.stats.as_json import as_json
from dispatcher.telemetry.stats.run_stats import RunStats


async def test_the_four_pages():
    """/healthz is 200, /readyz and /leaderz follow the run, /status is the tally as JSON.

    Who is not ready says why.
    """
    tally, reasons, leads = RunStats(), ["ledger_away"], [False]
    tally.emit(
        Settled("k", "c", Status.PARKED, Reason.IDENTITY, None, None, None, "r", seconds=1.0)
    )
    async with AsyncExitStack() as stack:
        address = await serve_health(
            stack, "127.0.0.1", 0, status=lambda: as_json(tally.snapshot()),
            why_not_ready=lambda: reasons[0], leads=lambda: leads[0],
        )  # fmt: skip
        client = await stack.enter_async_context(aiohttp.ClientSession(address))
        assert (await client.get("/healthz")).status == 200
        refused = await client.get("/readyz")
        assert (refused.status, await refused.json()) == (
            503, {"ready": False, "reason": "ledger_away"},
        )  # fmt: skip
        reasons[0] = ""
        accepted = await client.get("/readyz")
        assert (accepted.status, await accepted.json()) == (200, {"ready": True})
        standby = await client.get("/leaderz")
        assert (standby.status, await standby.json()) == (503, {"leader": False})
        leads[0] = True
        assert (await client.get("/leaderz")).status == 200
        answer = await client.get("/status")
        assert answer.content_type == "application/json"
        assert (await answer.json())["settled"] == {"parked": {"identity": 1}}
        assert (await client.post("/status")).status == 405
        assert (await client.get("/")).status == 404


async def serve_once(host, port):
    """Serve on an address, and stop; return the port."""
    async with AsyncExitStack() as stack:
        address = await serve_health(stack, host, port, status=dict, why_not_ready=str, leads=bool)
    return int(address.rsplit(":", 1)[1])


async def test_after_the_stop_nothing_listens():
    """The port is free again once the server was stopped."""
    port = await serve_once("127.0.0.1", 0)
    assert await serve_once("127.0.0.1", port) == port


async def test_a_port_that_is_taken():
    """The error names the address and the setting, and is an OSError."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HealthAddressError) as caught:
            await serve_once("127.0.0.1", port)
    assert isinstance(caught.value, OSError)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "telemetry.health_port" in str(caught.value)


async def test_an_address_that_is_not_ours():
    """An address of another machine is told apart from a port that is taken."""
    with pytest.raises(HealthAddressError, match=r"192\.0\.2\.1:8099.*telemetry\.health_host"):
        await serve_once("192.0.2.1", 8099)
