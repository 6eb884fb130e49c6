"""Notices to a web server: signed, in order, posted again until they are taken."""

import hashlib
import hmac
import json

import pytest

from dispatcher.app.webhooks import Webhooks
from dispatcher.domain.events import Halted, Resumed
from dispatcher.domain.status import HaltReason
from dispatcher.settings import load
from dispatcher.sinks.webhook import MOST_WAITING, Notice, Webhook
from dispatcher.telemetry.fanout import Fanout
from tests.support.least_settings import NEEDED, SECRETS
from tests.support.servers.hooks import hooks


@pytest.fixture
def server():
    with hooks() as running:
        yield running


async def test_notices_are_signed_and_come_in_their_order(server):
    """The signature is over the time and the body."""
    webhook = Webhook("ops", server.url, "secret-4T")
    webhook.add(Notice("halted", "c", {"reason": "scope"}))
    webhook.add(Notice("resumed", "c", {"seconds": 1.5}))
    webhook.start()
    assert await webhook.end(10)
    assert [json.loads(body)["event"] for _, body in server.posts] == ["halted", "resumed"]
    headers, body = server.posts[0]
    signed = headers["Dispatcher-Timestamp"].encode() + b"." + body
    expected = hmac.new(b"secret-4T", signed, hashlib.sha256).hexdigest()
    assert headers["Dispatcher-Signature"] == f"sha256={expected}"
    assert headers["Dispatcher-Event-Id"] == json.loads(body)["id"]


@pytest.mark.parametrize("status", [500, 403, 302])
async def test_a_notice_that_is_not_taken_comes_again_with_the_same_id(server, status):
    """The state has the reason, without the path of the address."""
    server.answers.append(status)
    webhook = Webhook("ops", server.url, "")
    webhook.add(Notice("ended", "c", {}))
    webhook.start()
    assert not await webhook.end(0.3)
    assert f"answers {status}" in webhook.state.error
    assert "hook-9K" not in webhook.state.error
    webhook.start()
    assert await webhook.end(10)
    first, second = (json.loads(body) for _, body in server.posts)
    assert first == second
    assert webhook.state.error == ""


async def test_a_server_that_is_away_holds_nothing_up():
    """The end waits only so long, and the oldest of too many are given up."""
    with hooks() as gone:
        url = gone.url
    webhook = Webhook("ops", url, "")
    for number in range(MOST_WAITING + 5):
        webhook.add(Notice("halted", str(number), {}))
    webhook.start()
    assert not await webhook.end(0.2)
    assert "does not answer" in webhook.state.error
    assert webhook.state.lag == MOST_WAITING


async def test_halts_and_resumes_of_a_run_are_notices(server, tmp_path):
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
    telemetry = Fanout(webhooks.listeners("c1"))
    telemetry.emit(Halted(HaltReason.PAUSED, "by an operator"))
    telemetry.emit(Resumed(HaltReason.PAUSED, 3.0))
    Fanout(webhooks.listeners("")).emit(Halted(HaltReason.SCOPE, "a scope is missing"))
    for webhook in webhooks.by_name.values():
        webhook.start()
        assert await webhook.end(10)
    found = [json.loads(body) for _, body in server.posts]
    assert [(one["event"], one["campaign"], one["reason"]) for one in found] == [
        ("halted", "c1", "paused"),
        ("resumed", "c1", "paused"),
        ("halted", "", "scope"),
        ("halted", "", "scope"),
    ]
    assert found[2]["detail"] == "a scope is missing"
