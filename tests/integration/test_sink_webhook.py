"""Notices to a web server: signed, in order, in the ledger until they are taken."""

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from dispatcher.app.webhooks import Webhooks
from dispatcher.domain import growing_pause
from dispatcher.domain.events import Halted, Resumed
from dispatcher.domain.status import HaltReason
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports.notices import NOTICE_SECONDS, Notice
from dispatcher.settings import load
from dispatcher.sinks import webhook as webhook_module
from dispatcher.sinks.webhook import Webhook
from dispatcher.telemetry.fanout import Fanout
from tests.support.least_settings import NEEDED, SECRETS
from tests.support.servers.hooks import hooks


@pytest.fixture
def server():
    with hooks() as running:
        yield running


@pytest.fixture
async def open_log(tmp_path):
    """The notices of one ledger, opened again and again as by one run after the other."""
    opened = []

    async def open_again():
        if opened:
            await opened[-1].close()
        opened.append(await SqliteStore.open(tmp_path / "ledger.db", "c"))
        return opened[-1].notice_log()

    yield open_again
    await opened[-1].close()


async def waiting(log, sink="ops"):
    return [notice.event for notice in await log.begin_run(sink, (), time.time())]


async def test_notices_are_signed_and_come_in_their_order(server, open_log):
    """The signature is over the time and the body. What was taken is not in the ledger."""
    log = await open_log()
    webhook = Webhook("ops", server.url, "secret-4T", log)
    await webhook.start([])
    webhook.add(Notice("halted", "c", {"reason": "scope"}))
    webhook.add(Notice("resumed", "c", {"seconds": 1.5}))
    assert await webhook.end(10)
    assert [one["event"] for one in server.notices()] == ["halted", "resumed"]
    headers, body = server.posts[0]
    signed = headers["Dispatcher-Timestamp"].encode() + b"." + body
    expected = hmac.new(b"secret-4T", signed, hashlib.sha256).hexdigest()
    assert headers["Dispatcher-Signature"] == f"sha256={expected}"
    assert headers["Dispatcher-Event-Id"] == json.loads(body)["id"]
    assert await waiting(log) == []


async def test_a_notice_is_in_the_ledger_before_it_is_posted(server, open_log):
    """So no kill can lose one that was posted in vain."""
    log = await open_log()
    found = []
    webhook = Webhook("ops", server.url, "", log)
    await webhook.start([])
    loop = asyncio.get_running_loop()
    server.on_post = lambda _: found.append(
        asyncio.run_coroutine_threadsafe(waiting(log), loop).result(10)
    )
    webhook.add(Notice("halted", "c", {}))
    assert await webhook.end(10)
    assert found == [["halted"]]


@pytest.mark.parametrize("status", [500, 403, 302])
async def test_a_notice_that_is_not_taken_comes_again_in_the_next_run(server, open_log, status):
    """With the same id. The state has the reason, without the path of the address."""
    server.answers += [status] * 9
    webhook = Webhook("ops", server.url, "", await open_log())
    await webhook.start([])
    await webhook.add(Notice("ended", "c", {}))
    assert not await webhook.end(0.3)
    assert f"answers {status}" in webhook.state.error
    assert "hook-9K" not in webhook.state.error
    server.answers.clear()
    again = Webhook("ops", server.url, "", await open_log())
    await again.start([])
    assert await again.end(10)
    first, *_, last = server.notices()
    assert first == last
    assert again.state.error == ""


async def test_a_server_that_is_away_holds_nothing_up(open_log, monkeypatch):
    """The end waits only so long, and the oldest of too many are given up."""
    monkeypatch.setattr(webhook_module, "MOST_WAITING", 20)
    with hooks() as gone:
        url = gone.url
    log = await open_log()
    webhook = Webhook("ops", url, "", log)
    await webhook.start([])
    for number in range(25):
        await webhook.add(Notice(f"halted {number}", "c", {}))
    assert not await webhook.end(0.2)
    assert "does not answer" in webhook.state.error
    assert webhook.state.lag == 20
    assert await waiting(log) == [f"halted {number}" for number in range(5, 25)]


@pytest.mark.parametrize("when", ["in a pause", "while it posts"])
async def test_the_end_of_a_run_tries_at_once(when, server, open_log, monkeypatch):
    """It does not wait for a pause that has grown long: the server may be back."""
    monkeypatch.setattr(growing_pause, "FIRST_PAUSE", 60.0)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    webhook = Webhook("ops", server.url, "", await open_log())

    def end_in_a_post(_):
        loop.call_soon_threadsafe(ended.set)
        time.sleep(0.2)  # the answer comes after the end has begun
        server.on_post = lambda _: None

    server.answers.append(503)
    if when == "while it posts":
        server.on_post = end_in_a_post
    await webhook.start([])
    await webhook.add(Notice("halted", "c", {}))
    if when == "in a pause":
        while not webhook.state.error:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        ended.set()
    await ended.wait()
    assert await webhook.end(20)
    assert [one["event"] for one in server.notices()] == ["halted"] * 2


async def test_a_notice_is_given_up_after_a_week(server, open_log):
    """When a run begins, and in a run when it is not taken."""
    log = await open_log()
    old = Notice("old", "c", {}, at=time.time() - NOTICE_SECONDS - 1)
    await log.add("ops", old)
    await log.add("ops", Notice("young", "c", {}))
    webhook = Webhook("ops", server.url, "", log)
    await webhook.start([])
    while not server.posts:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    server.is_away = True
    await webhook.add(old)
    assert await webhook.end(10)
    assert [one["event"] for one in server.notices()] == ["young", "old"]
    assert await waiting(log) == []


async def test_the_next_run_posts_the_end_of_one_that_was_killed(server, open_log):
    """After what that run has not posted, and once; a run that ended says so itself."""
    log = await open_log()
    killed, done = Notice("ended", "c", {"outcome": "killed"}), {"outcome": "done"}
    assert await log.begin_run("ops", [killed], 5.0) == []
    await log.add("ops", Notice("halted", "c", {}))
    log = await open_log()
    webhook = Webhook("ops", server.url, "", log)
    own = Notice("ended", "c", {"outcome": "killed"})
    await webhook.start([own])
    await webhook.add(replace(own, facts=done))
    assert await webhook.end(10)
    found = [(one["event"], one.get("outcome")) for one in server.notices()]
    assert found == [("halted", None), ("ended", "killed"), ("ended", "done")]
    assert [one["id"] for one in server.notices()[1:]] == [killed.id, own.id]
    assert await waiting(await open_log()) == []


async def test_halts_and_resumes_of_a_run_are_notices(server, tmp_path, open_log):
    """Each webhook gets those of its campaigns, and those of the whole run."""
    config, contacts = tmp_path / "dispatcher.toml", tmp_path / "contacts.csv"
    contacts.touch()
    sink = f'[[sinks]]\nname = "{{}}"\nkind = "webhook"\nurl = "{server.url}"\n'
    listed = '[[campaigns]]\nname = "{0}"\n[campaigns.source]\npath = "{1}"\n'
    config.write_text(
        sink.format("all") + sink.format("one") + 'campaigns = ["c2"]\n'
        + listed.format("c1", contacts) + listed.format("c2", contacts)
    )  # fmt: skip
    flags = {key: value for key, value in NEEDED.items() if key not in ("campaign", "source.path")}
    webhooks = Webhooks(load(config, env=SECRETS, flags=flags))
    async with AsyncExitStack() as stack:
        await webhooks.start(await open_log(), stack)
        telemetry = Fanout(webhooks.listeners("c1"))
        telemetry.emit(Halted(HaltReason.PAUSED, "by an operator"))
        telemetry.emit(Resumed(HaltReason.PAUSED, 3.0))
        Fanout(webhooks.listeners("")).emit(Halted(HaltReason.SCOPE, "a scope is missing"))
        await webhooks.end_runs({"c1": {"outcome": "done"}, "c2": {"outcome": "halted"}})
    found = [
        (one["event"], one["campaign"], one.get("reason") or one["outcome"])
        for one in server.notices()
    ]
    one = [("halted", "", "scope"), ("ended", "c2", "halted")]
    paused = [("halted", "c1", "paused"), ("resumed", "c1", "paused")]
    every = [*paused, one[0], ("ended", "c1", "done"), one[1]]
    assert sorted(found) == sorted([*every, *one])
    assert [each for each in found if each in paused] == paused
