"""The HTTP intake over real HTTP: who may post, what is accepted, and how refusals look."""

import asyncio
import gzip
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from dispatcher.http_server import post_body
from dispatcher.http_server.posts import PostAddressError, PostTarget, serve_posts
from dispatcher.ports import (
    Post,
    PostLayout,
    PostRefusal,
    PostRefusedError,
    Receipt,
    RejectedPostRow,
)

JSON = {"Content-Type": "application/json"}
PATH = "/campaigns/web/contacts"


class Campaign:
    """What the server passes to a campaign, and what that returns."""

    def __init__(self, token="", most_bytes=1000):
        self.posts, self.answers = [], []
        self.receipt = Receipt(0, 0)
        self.refusal = self.closed = None
        self.target = PostTarget(
            self.accept,
            self.check,
            lambda: token,
            lambda *end: self.answers.append(end),
            most_bytes,
        )

    async def accept(self, post):
        self.posts.append(post)
        if self.refusal is not None:
            raise self.refusal
        return self.receipt

    def check(self):
        if self.closed is not None:
            raise self.closed


@asynccontextmanager
async def serving(**targets):
    async with AsyncExitStack() as stack:
        targets = {name: campaign.target for name, campaign in targets.items()}
        url = await serve_posts(stack, "127.0.0.1", 0, targets)
        yield await stack.enter_async_context(aiohttp.ClientSession(url))


async def problem(response):
    assert response.content_type == "application/problem+json"
    body = await response.json()
    assert body["status"] == response.status
    return body["reason"]


async def test_a_post_that_is_accepted():
    """202 with what became of its rows; its body, layout and key reach the campaign."""
    campaign = Campaign()
    campaign.receipt = Receipt(3, 1, 0, [RejectedPostRow(4, "bad_id", "detail")])
    async with serving(web=campaign) as client:
        headers = {**JSON, "Idempotency-Key": "k-1"}
        response = await client.post(PATH, data=b"[{}]", headers=headers)
        body = await response.json()
    assert response.status == 202
    assert body == {"admitted": 3, "duplicates": 1, "rejected": [[4, "bad_id", "detail"]]}
    assert campaign.posts == [Post(b"[{}]", PostLayout.JSON, "k-1")]
    assert campaign.answers == [(202, 5)]


async def test_rows_that_the_filter_left_out_are_told():
    """Otherwise the counts would not add up to the rows of the post."""
    campaign = Campaign()
    campaign.receipt = Receipt(1, 0, 2)
    async with serving(web=campaign) as client:
        response = await client.post(PATH, data=b"[]", headers=JSON)
        assert (await response.json())["filtered"] == 2


@pytest.mark.parametrize(
    ("content_type", "layout"),
    [
        ("application/json; charset=utf-8", PostLayout.JSON),
        ("application/x-ndjson", PostLayout.LINES),
        ("application/octet-stream", PostLayout.AUTO),
        ("text/csv", None),
        ("application/x-www-form-urlencoded", None),
        ("application/json; charset=latin1", None),
    ],
)
async def test_content_types(content_type, layout):
    """JSON in UTF-8 is accepted as it says; anything else is 415."""
    campaign = Campaign()
    async with serving(web=campaign) as client:
        response = await client.post(PATH, data=b"[]", headers={"Content-Type": content_type})
        if layout is None:
            assert (response.status, await problem(response)) == (415, "content_type")
    assert [post.layout for post in campaign.posts] == ([] if layout is None else [layout])


async def test_a_body_that_is_too_long():
    """413, whether its length is declared, comes in chunks, or shows when it is decompressed."""
    campaign = Campaign(most_bytes=1000)

    async def chunks():
        for _ in range(20):
            yield b" " * 100

    packed = {**JSON, "Content-Encoding": "gzip"}
    async with serving(web=campaign, other=Campaign(most_bytes=5000)) as client:
        for data, headers in (
            (b" " * 1001, JSON),
            (chunks(), JSON),
            (gzip.compress(b" " * 100_000), packed),
        ):
            response = await client.post(PATH, data=data, headers=headers)
            assert (response.status, await problem(response)) == (413, "too_many_bytes")
        response = await client.post(PATH, data=gzip.compress(b"[]"), headers=packed)
        assert response.status == 202
    assert [post.body for post in campaign.posts] == [b"[]"]


async def test_a_body_that_does_not_arrive(monkeypatch):
    """408 after a while, so that a client which went silent holds nothing."""
    monkeypatch.setattr(post_body, "BODY_SECONDS", 0.05)
    never = asyncio.Event()

    async def silent():
        yield b"["
        await never.wait()

    async with serving(web=Campaign()) as client:
        response = await client.post(PATH, data=silent(), headers=JSON)
        assert (response.status, await problem(response)) == (408, "slow_body")
        never.set()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer secret", 202),
        ("bearer secret", 202),
        ("Bearer secre", 401),
        ("Bearer secret2", 401),
        ("Bearer sécret", 401),
        ("Basic secret", 401),
        ("secret", 401),
        ("", 401),
    ],
)
async def test_a_token_is_required(header, status):
    """Without it nothing is read, and the answer says what is expected."""
    campaign = Campaign(token="secret")
    async with serving(web=campaign) as client:
        response = await client.post(PATH, data=b"[]", headers={**JSON, "Authorization": header})
        assert response.status == status
        if status == 401:
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert await problem(response) == "unauthorized"
    assert len(campaign.posts) == (status == 202)
    assert campaign.answers == [(status, 0)]


async def test_campaigns_share_a_server():
    """Each has its own token; the names of others are for clients with one of them."""
    one, two = Campaign(token="first"), Campaign(token="second")
    async with serving(one=one, two=two) as client:
        statuses = {}
        for name in ("one", "two", "three"):
            for token in ("first", "second", "third"):
                headers = {**JSON, "Authorization": f"Bearer {token}"}
                path = f"/campaigns/{name}/contacts"
                statuses[name, token] = (
                    await client.post(path, data=b"[]", headers=headers)
                ).status
    assert statuses == {
        ("one", "first"): 202, ("one", "second"): 401, ("one", "third"): 401,
        ("two", "first"): 401, ("two", "second"): 202, ("two", "third"): 401,
        ("three", "first"): 404, ("three", "second"): 404, ("three", "third"): 401,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (PostRefusal.MALFORMED, 400),
        (PostRefusal.MISSING_COLUMNS, 400),
        (PostRefusal.TOO_MANY_ROWS, 413),
        (PostRefusal.KEY_REUSED, 422),
        (PostRefusal.BUSY, 429),
        (PostRefusal.BACKLOG, 429),
        (PostRefusal.PAUSED, 429),
        (PostRefusal.CLOSED, 503),
    ],
)
async def test_each_refusal_has_its_status(refusal, status):
    """With the words of the refusal, and when to come again."""
    campaign = Campaign()
    campaign.refusal = PostRefusedError(refusal, "what is wrong", 7)
    async with serving(web=campaign) as client:
        response = await client.post(PATH, data=b"[]", headers=JSON)
        body = await response.json()
    assert (response.status, body["reason"], body["detail"]) == (status, refusal, "what is wrong")
    assert response.headers["Retry-After"] == "7"


async def test_a_campaign_that_takes_nothing_reads_no_body():
    """A pause is answered before the rows are there."""
    campaign = Campaign()
    campaign.closed = PostRefusedError(PostRefusal.PAUSED, "paused", 60)
    async with serving(web=campaign) as client:
        response = await client.post(PATH, data=b"[]", headers=JSON)
        assert await problem(response) == "paused"
    assert campaign.posts == []


@pytest.mark.parametrize("key", ["k" * 256, "tab\there", "kéy"])
async def test_a_key_that_cannot_be_kept(key):
    """At most 255 printable ASCII characters."""
    async with serving(web=Campaign()) as client:
        headers = {**JSON, "Idempotency-Key": key}
        response = await client.post(PATH, data=b"[]", headers=headers)
        assert (response.status, await problem(response)) == (400, "bad_key")


@pytest.mark.parametrize(
    ("encoding", "body", "refusal"),
    [
        ("gzip", b"no gzip", (400, "malformed")),
        ("gzip", gzip.compress(b"[" + b" " * 900 + b"]")[:-9], (400, "malformed")),
        ("gzip", gzip.compress(b"[]") + b"more", (400, "malformed")),
        ("gzip", gzip.compress(b" " * 2000), (413, "too_many_bytes")),
        ("br", b"x", (415, "content_encoding")),
        ("deflate", b"x", (415, "content_encoding")),
        ("unknown", b"[]", (415, "content_encoding")),
    ],
    ids=["no gzip", "cut short", "more behind it", "too large", "br", "deflate", "unknown"],
)
async def test_bodies_that_cannot_be_decompressed(encoding, body, refusal):
    """The client's mistake is a problem in JSON, is counted, and reaches no campaign."""
    campaign = Campaign()
    async with serving(web=campaign) as client:
        headers = {**JSON, "Content-Encoding": encoding}
        response = await client.post(PATH, data=body, headers=headers)
        assert (response.status, await problem(response)) == refusal
    assert (campaign.posts, campaign.answers) == ([], [(refusal[0], 0)])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example:8484"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "["}, 403),
        ({"Host": "localhost:8484"}, 202),
        ({"Host": "[::1]:8484"}, 202),
    ],
)
async def test_a_page_in_a_browser_cannot_post(headers, status):
    """Without a token every web site could: a post without a content type is never asked for."""
    campaign, guarded = Campaign(), Campaign(token="secret")
    async with serving(web=campaign, guarded=guarded) as client:
        response = await client.post(PATH, data=b"[]", headers=headers)
        assert response.status == status
        if status == 403:
            assert await problem(response) == "foreign"
        known = {**headers, "Authorization": "Bearer secret"}
        response = await client.post("/campaigns/guarded/contacts", data=b"[]", headers=known)
        assert response.status == 202
    assert len(campaign.posts) == (status == 202)


async def test_a_request_that_is_not_http_is_not_logged(caplog):
    """The library's message has the header that is wrong, which may be the token."""
    async with serving(web=Campaign(token="secret")) as client:
        for line in (b"Authorization : Bearer secret", b"Content-Length: secret"):
            reader, writer = await asyncio.open_connection("127.0.0.1", client._base_url.port)
            writer.write(
                b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"
            )
            assert b" 400 " in await reader.readline()
            writer.close()
    assert caplog.text == ""


async def test_other_paths_and_methods():
    """They are problems in JSON as well, and name the path that is meant."""
    async with serving(web=Campaign()) as client:
        response = await client.get(PATH)
        assert (response.status, response.headers["Allow"]) == (405, "POST")
        assert "POST to /campaigns/NAME/contacts" in json.loads(await response.text())["detail"]
        assert (await client.post("/contacts", data=b"[]", headers=JSON)).status == 404


async def test_a_port_that_is_taken():
    """The error names the address and the settings."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with AsyncExitStack() as stack:
            with pytest.raises(PostAddressError, match=r"source\.http\.port"):
                await serve_posts(stack, "127.0.0.1", port, {"web": Campaign().target})
