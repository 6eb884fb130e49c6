"""The page of a run over real HTTP: who may use it, what it shows, and what it never shows."""

import asyncio
import base64
import re
from contextlib import AsyncExitStack
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import aiohttp
import pytest

from dispatcher.domain.lineage_check import LinkVerdict
from dispatcher.http_server.page.guard import PageGuard
from dispatcher.http_server.page.operator_pages import lineage_page
from dispatcher.http_server.page.outlook import outlook
from dispatcher.http_server.page.server import PageAddressError, PageSource, serve_page
from dispatcher.http_server.page.words import with_code
from dispatcher.ledgers.lineage_check import ExclusiveLinkStore
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import SourceError
from dispatcher.ports.plan import Bounds, CampaignPlan
from dispatcher.ports.questions import UnverifiedLinks
from dispatcher.ports.snapshot import (
    STANDBY,
    CampaignSnapshot,
    ConditionSnapshot,
    LeaseSnapshot,
    OAuthClientSnapshot,
    QuotaSnapshot,
    RatesSnapshot,
    RunSnapshot,
    SinkSnapshot,
    SourceSnapshot,
    WaitSnapshot,
)
from tests.support import rich_ledger

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
NOW = 1_700_000_100.0
PAGES = (
    "/", "/plan", "/parked", "/parked?campaign=a&reason=identity", "/contact",
    "/contact?name=key-1", "/contact?name=conversation-2", "/lineage",
    "/confirm?order=drop&campaign=a&reason=identity", "/confirm?order=pause&campaign=a",
    "/done?order=replay&ready=3", "/static/page.css",
)  # fmt: skip


def snapshot(name="a", **more):
    campaign = CampaignSnapshot(
        name=name,
        rows={"read": 9, "admitted": 8},
        outcomes={"notified": {"delivered": 30}, "parked": {"identity": 2}},
        due=5,
        waits=[WaitSnapshot("not_ended", 3, NOW + 5, NOW + 9)],
        rates=RatesSnapshot(1.0, 1.0, 2.0, 2.0),
        source=SourceSnapshot("files"),
        read_at=NOW,
    )
    values = {
        "condition": ConditionSnapshot(title="Nothing is wrong"),
        "campaigns": [campaign],
        "quota": QuotaSnapshot(300.0, 120.0, 30.0),
        "requests_per_contact": 2.0,
    }
    return RunSnapshot(1, NOW, NOW - 60, **{**values, **more})


PLAN = CampaignPlan(
    campaign="a",
    made_at=NOW,
    rows=[("new contact", "", 1200)],
    waiting=[("in the ledger", "in doubt, not planned", 3)],
    outcomes=[("skipped", "same_person", 34)],
    undecided=1166,
    requests={"checks": Bounds(1166, 1166), "rechecks": Bounds(0, 0), "all": Bounds(1166, 2332)},
    seconds=Bounds(238, 476),
    requests_per_minute=300,
    later=2,
    last_due=NOW + 400,
    remarks=["States were not read."],
    unknown=["The rest: `dispatcher plan` looks at all."],
)


def paused(name="a", **more):
    """Return a run whose campaign is paused."""
    run = snapshot(name, **more)
    return replace(run, campaigns=[replace(run.campaigns[0], halts={"paused": NOW - 5})])


class World:
    """A page that is served, and what it was told to do."""

    def __init__(self, stack):
        self.stack, self.orders, self.run, self.plan = stack, [], snapshot(), PLAN

    async def order(self, name, arguments):
        self.orders.append((name, arguments))
        return {"ready": 3, "in_doubt": 0}

    async def make_plan(self, campaign):
        if isinstance(self.plan, Exception):
            raise self.plan
        return replace(self.plan, campaign=campaign)

    async def serve(self, store=None, *, token="", writable=False, names=()):
        async def nothing(*_):
            return SimpleNamespace(rows=[], more=False, cursor="")

        look, page = (store.look, store.page) if store else (nothing, nothing)
        source = PageSource(lambda: self.run, look, page, self.order, self.make_plan)
        guard = PageGuard(frozenset(names), lambda: token, writable)
        url = await serve_page(self.stack, "127.0.0.1", 0, source, guard)
        return await self.stack.enter_async_context(aiohttp.ClientSession(url))


@pytest.fixture
async def world():
    async with AsyncExitStack() as stack:
        yield World(stack)


def basic(token):
    return {"Authorization": "Basic " + base64.b64encode(f"me:{token}".encode()).decode()}


async def test_a_token_is_needed_if_there_is_one(world):
    """Each path needs it, by basic auth or as bearer token; a wrong one is refused."""
    client = await world.serve(token="s3cret")
    for path in ("/", "/events", "/static/page.css", "/nothing"):
        answer = await client.get(path)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    for wrong in (basic("S3cret"), basic(""), {"Authorization": "Basic !"}, {"Authorization": "x"}):
        assert (await client.get("/", headers=wrong)).status == 401
    assert (await client.get("/", headers=basic("s3cret"))).status == 200
    assert (await client.get("/", headers={"Authorization": "Bearer s3cret"})).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421), ("10.0.0.1", 421),
        ("[x", 421), ("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200),
        ("ops.example:8443", 200), ("OPS.example.", 200),
    ],
)  # fmt: skip
async def test_the_host_must_be_one_of_ours(world, host, status):
    """A name that another site points to this machine is refused."""
    client = await world.serve(names=["ops.example"])
    assert (await client.get("/", headers={"Host": host})).status == status


POSTS = {
    "a page of ours": ({"Sec-Fetch-Site": "same-origin", "Origin": "http://{host}"}, 303),
    "the user": ({"Sec-Fetch-Site": "none"}, 303),
    "another site": ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
    "another port": ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"}, 403),
    "an older browser": ({"Origin": "http://{host}"}, 303),
    "an older browser elsewhere": ({"Origin": "http://evil.example"}, 403),
    "an origin that is hidden": ({"Origin": "null"}, 403),
    "a site that lies": ({"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"}, 403),
    "no word about it": ({}, 403),
}


@pytest.mark.parametrize(("headers", "status"), POSTS.values(), ids=list(POSTS))
async def test_a_change_must_come_from_here(world, headers, status):
    """A post of another site is refused, and does nothing."""
    client = await world.serve(writable=True)
    host = client._base_url.authority
    sent = {name: value.format(host=host) for name, value in headers.items()}
    form = {"campaign": "a", "reason": "identity", "before": "1.5"}
    answer = await client.post("/replay", data=form, headers=sent, allow_redirects=False)
    assert answer.status == status
    expected = [("replay", {"campaign": "a", "reason": "identity", "before": 1.5})]
    assert world.orders == (expected if status == 303 else [])


OURS = {"Sec-Fetch-Site": "same-origin"}


async def test_without_the_setting_it_only_reads(world):
    """There is no button and no question, and every post is refused."""
    client = await world.serve()
    assert "button" not in (await (await client.get("/")).text())
    assert (await client.get("/confirm?order=pause&campaign=a")).status == 403
    for order in ("replay", "drop", "pause", "resume"):
        assert (await client.post(f"/{order}", headers=OURS)).status == 403
    assert world.orders == []


async def test_changes_are_posts_that_make_sense(world):
    """A GET changes nothing; an unknown order, reason or time is refused, and so is a standby."""
    client = await world.serve(writable=True)
    assert (await client.get("/pause")).status == 405
    assert (await client.post("/approve", headers=OURS)).status == 404
    for form in ({}, {"reason": "identity"}, {"reason": "x", "before": "1"}):
        assert (await client.post("/drop", data=form, headers=OURS)).status == 400
    world.run = snapshot(phase=STANDBY)
    assert (await client.post("/pause", data={"campaign": "a"}, headers=OURS)).status == 409
    assert world.orders == []


async def test_the_headers_of_every_answer(world):
    """Errors and events have them, too: nothing foreign is loaded, and nothing is framed."""
    client = await world.serve()
    for path in ("/", "/events", "/static/htmx.min.js", "/nothing", "/confirm"):
        answer = await client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.close()
    another = {"Sec-Fetch-Site": "cross-site"}
    assert (
        await client.get("/events", headers={**another, "Sec-Fetch-Mode": "cors"})
    ).status == 403
    assert (await client.get("/", headers={**another, "Sec-Fetch-Mode": "navigate"})).status == 200


async def test_hostile_names_and_words_are_only_text(world):
    """Whatever a campaign, a client, a sink or a daemon is called, no element comes of it."""
    condition = ConditionSnapshot(
        title=HOSTILE, priority="P1", words=HOSTILE, evidence={HOSTILE: HOSTILE}, steps=[HOSTILE]
    )
    world.run = snapshot(
        HOSTILE, condition=condition, sinks=[SinkSnapshot(HOSTILE, 1, HOSTILE)],
        clients=[OAuthClientSnapshot(HOSTILE, halts={HOSTILE: 1.0})], halts={HOSTILE: 1.0},
        leases=[LeaseSnapshot(HOSTILE, HOSTILE, HOSTILE, 1.0)],
    )  # fmt: skip
    client = await world.serve(writable=True)
    page = await (await client.get("/")).text()
    assert "&lt;script&gt;alert(1)" in page
    assert_inert(page)
    answer = await client.get("/contact", params={"name": HOSTILE})
    assert_inert(await answer.text())
    world.plan = replace(
        PLAN, rows=[(HOSTILE, HOSTILE, 1)], outcomes=[(HOSTILE, HOSTILE, 1)], halt=HOSTILE,
        remarks=[HOSTILE], unknown=[HOSTILE], requests={"all": Bounds(1, 2), HOSTILE: Bounds(1, 2)},
    )  # fmt: skip
    plan = await (await client.get("/plan")).text()
    assert "Plan of campaign &quot;" in plan
    assert_inert(plan)


class Tags(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def assert_inert(page):
    """No script and no style stands in the page, and nothing hostile is an element."""
    for tag, attributes in Tags(page).found:
        assert tag not in ("img", "style", "iframe", "base", "object")
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        if tag == "script":
            assert re.fullmatch(r"/static/[a-z.]+\?[0-9a-f]+", attributes["src"])


@pytest.fixture
async def store(tmp_path):
    await rich_ledger.make(tmp_path / "ledger.db")
    opened = await SqliteStore.open(tmp_path / "ledger.db", "a", now=lambda: NOW)
    yield opened
    await opened.close()


async def test_no_page_has_a_text_an_address_or_a_name(world, store):
    """The ledger has them, and every page is read."""
    client = await world.serve(store, writable=True)
    for path in PAGES:
        answer = await client.get(path)
        page = await answer.text()
        assert answer.status == 200, path
        for personal in ("Hello", "+49", "Re: cart", "Ann"):
            assert personal not in page, path
    assert "key-1" in await (await client.get("/contact?name=key-1")).text()
    assert "No contact has" in await (await client.get("/contact?name=nobody")).text()


async def test_a_hostile_row_is_only_text(world, tmp_path):
    """A key that is markup: the list of parked contacts, its history and link have it as text."""
    await rich_ledger.make(tmp_path / "ledger.db")
    opened = await SqliteStore.open(tmp_path / "ledger.db", "a", now=lambda: NOW)
    world.stack.push_async_callback(opened.close)
    client = await world.serve(opened)
    row = {"id": 1, "key": HOSTILE, "campaign": HOSTILE, "conversation_id": HOSTILE}
    row |= {"new_conversation_id": HOSTILE, "relation": HOSTILE, "status": HOSTILE}
    row["story"] = [{"time": 1.0, "what": HOSTILE, "answer": HOSTILE, "correlation_id": HOSTILE}]

    async def look(_):
        return [row]

    source = PageSource(lambda: world.run, look, opened.page, world.order, world.make_plan)
    guard = PageGuard((), str, writable=True)
    url = await serve_page(world.stack, "127.0.0.1", 0, source, guard)
    for path in ("/contact?name=x", "/parked?campaign=a&reason=identity"):
        page = await (await client.get(url + path)).text()
        assert "&lt;script&gt;" in page
        assert_inert(page)


async def test_events_come_with_their_parts_and_end_with_the_server(world):
    """The first event has every part; later ones have what changed; a stop ends them."""
    async with AsyncExitStack() as serving:
        inner = World(serving)
        client = await inner.serve()
        answer = await client.get("/events")
        assert answer.content_type == "text/event-stream"
        first = (await answer.content.readuntil(b"event: work\n")).decode()
        names = re.findall(r"^event: (\w+)$", first, re.MULTILINE)
        assert names[0] == "announce"
        assert "now" in names
        inner.run = snapshot(throttled=7)
        later = (await asyncio.wait_for(answer.content.readuntil(b"429"), 5)).decode()
        assert "event: quota" in later
        assert "event: failures" not in later
        answer.close()


async def test_a_port_that_is_taken(world):
    """The error names the setting."""
    client = await world.serve()
    source = PageSource(lambda: world.run, None, None, world.order, world.make_plan)
    with pytest.raises(PageAddressError, match=r"telemetry\.page_port"):
        await serve_page(
            world.stack, "127.0.0.1", client._base_url.port, source, PageGuard((), str, False)
        )


async def test_a_standby_shows_who_leads(world):
    """It has no figures of its own, and takes no orders."""
    leases = [LeaseSnapshot("campaign a", "host-b:7", "host-b", NOW)]
    world.run = snapshot(phase=STANDBY, campaigns=[CampaignSnapshot("a")], leases=leases)
    client = await world.serve(writable=True)
    page = await (await client.get("/")).text()
    assert ">standby<" in page
    assert "host-b:7 on host-b has campaign a" in page
    assert "has not read its ledger" in page
    assert "/confirm" not in page


def test_a_link_shows_its_verdict():
    """Confirmed, not found, another one, or not verified yet: as a line and in words."""
    words = {
        "confirmed": "confirmed", "missing": "not found", "different": "another one",
        None: "not verified yet",
    }  # fmt: skip
    for verdict, text in words.items():
        row = SimpleNamespace(
            previous_conversation_id="old-1", conversation_id="new-1", relation="linked",
            verified=verdict,
        )  # fmt: skip
        page = lineage_page([row], None, version="v")
        assert text in page
        assert f'class="{verdict or "open"}"' in page


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (LinkVerdict.CONFIRMED, "confirmed"),
        (LinkVerdict.MISSING, "not found at the platform"),
        (LinkVerdict.DIFFERENT, "the platform shows another one"),
    ],
)
async def test_the_timeline_of_a_contact_ends_with_the_check_of_its_link(
    world, tmp_path, verdict, text
):
    """The verdict is an entry with its time; without one the link is not verified yet."""
    path = tmp_path / "ledger.db"
    await rich_ledger.make(path)
    with ExclusiveLinkStore(path, UnverifiedLinks(NOW + 100, "a")) as links:
        first, second, *_ = links.page(0, 100)
        links.mark({first.id: verdict}, NOW + 7)
    opened = await SqliteStore.open(path, "a", now=lambda: NOW)
    world.stack.push_async_callback(opened.close)
    client = await world.serve(opened)
    page = await (await client.get(f"/contact?name={first.previous_conversation_id}")).text()
    *_, last = re.findall(r'<li class="step-(\w+)">(.*?)</li>', page)
    assert last[0] == "verified"
    assert f"<b>{text}</b>" in last[1]
    assert "2023-11-14 22:15:07" in last[1]
    assert f", {text}</span>" in page
    page = await (await client.get(f"/contact?name={second.previous_conversation_id}")).text()
    assert "step-verified" not in page
    assert ", not verified yet</span>" in page


async def test_a_paused_campaign_shows_its_plan(world):
    """The figures with their bounds, what is not known, and what was parked earlier."""
    world.run = paused()
    client = await world.serve()
    page = await (await client.get("/plan")).text()
    assert "Plan of campaign a" in page
    text = re.sub(r"<[^>]+>", " ", page)
    for words in (
        "1,166 to 2,332", "3:58 min to 7:56 min", "22:18:58  to  22:22:56  UTC",
        "2 contacts, the last at  2023-11-14 22:21  UTC", "States were not read.",
        "same person  34", "the state of the session decides  1,166", "rechecks  0  not known",
    ):  # fmt: skip
        assert " ".join(words.split()) in " ".join(text.split()), words
    assert "<code>dispatcher plan</code>" in page
    assert '<a href="/parked?campaign=a">parked earlier, not planned</a>' in page
    assert "/confirm" not in page


async def test_a_plan_over_many_hours_has_the_days_of_its_end(world):
    """A time without its day would be the wrong one."""
    world.run, world.plan = paused(), replace(PLAN, seconds=Bounds(40_000, 90_000))
    page = await (await (await world.serve()).get("/plan")).text()
    assert ">2023-11-15 09:21</time> to " in page
    assert ">2023-11-15 23:15</time> UTC" in page


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "running</strong> for 1:00 min, as of "),
        ({"phase": "draining"}, "draining</strong> for 1:00 min, as of "),
        ({"halts": {"scope": NOW - 7}}, "halted: scope</strong> for 7 s, in a run of 1:00 min, "),
        ({"halts": {"paused": NOW - 500}}, "paused</strong> for 8:20 min, as of "),
    ],
)
async def test_a_state_is_as_old_as_it_is_and_not_as_the_run(world, more, words):
    """A pause may also be older than the run."""
    world.run = snapshot(**more)
    assert words in await (await (await world.serve()).get("/")).text()


async def test_a_pause_of_every_campaign_has_lasted_since_the_last_of_them(world):
    """Until then something ran; its end is not foreseen, but there is a plan."""
    both = [replace(one, halts={"paused": NOW - s}) for one, s in zip(
        (snapshot().campaigns[0], snapshot("b").campaigns[0]), (9, 4), strict=True)]  # fmt: skip
    world.run = snapshot(campaigns=both)
    page = await (await (await world.serve()).get("/")).text()
    assert "paused</strong> for 4 s, in a run of 1:00 min, " in page
    assert "not known, see Plan" in page


async def test_the_menu_shows_where_one_is(world, store):
    """Also to a screen reader; each page is one of its items."""
    client = await world.serve(store)
    for path, item in (
        ("/", "Run"), ("/plan", "Plan"), ("/parked", "Parked"), ("/contact", "Contact"),
        ("/parked?campaign=a&reason=identity", "Parked"), ("/lineage", "Lineage"),
    ):  # fmt: skip
        page = await (await client.get(path)).text()
        assert re.findall(r'aria-current="page">(\w+)<', page) == [item], path


def test_no_line_ends_within_the_option_of_a_command():
    """A copy of "--" from a narrow screen would else be without its name."""
    shown = with_code("Run `dispatcher parked list --reason identity` <now>.")
    option = '<span class="option">--reason</span>'
    assert f"<code>dispatcher parked list {option} identity</code> &lt;now&gt;." in shown


def test_a_message_into_the_same_conversation_leads_to_no_new_one():
    """Both ends of its link look the same."""
    row = SimpleNamespace(
        previous_conversation_id="old-1", conversation_id="old-1", relation="notified",
        verified=None,
    )  # fmt: skip
    page = lineage_page([row], None, version="v")
    assert "the same conversation" in page
    assert 'class="new"' not in page


async def test_only_a_paused_campaign_is_resumed_from_its_plan(world):
    """The link is there if the page may give orders; a halt is ended otherwise."""
    client = await world.serve(writable=True)
    world.run = paused()
    assert "/confirm?order=resume" in await (await client.get("/plan?campaign=a")).text()
    world.run = snapshot(halts={"scope": NOW})
    page = await (await client.get("/plan?campaign=a")).text()
    assert '<strong class="state halted">scope</strong>' in page
    assert "/confirm" not in page


async def test_a_plan_that_foresees_a_halt_says_so_and_an_empty_one_too(world):
    """The sentence of the command stands below the figures."""
    world.run = paused()
    world.plan = replace(
        PLAN, halt="A run would halt: 9 of 9.", outcomes=[], undecided=0, later=0,
        seconds=Bounds(0, 0),
    )  # fmt: skip
    client = await world.serve()
    page = await (await client.get("/plan")).text()
    assert "A run would halt: 9 of 9." in page
    assert "nothing is left" in page


async def test_what_runs_has_a_forecast_in_place_of_a_plan(world):
    """A campaign that runs, several of them, a standby, and one whose source is gone."""
    client = await world.serve()
    assert "It runs." in await (await client.get("/plan")).text()
    not_begun = CampaignSnapshot("b", due=3, read_at=NOW)
    world.run = snapshot(campaigns=[*snapshot().campaigns, not_begun])
    page = await (await client.get("/plan")).text()
    assert '<a href="/#forecast">Forecast</a>' in page
    assert 'href="/plan?campaign=b"' in page
    assert "not begun" in page
    world.plan = SourceError("contacts.csv: is gone")
    answer = await client.get("/plan?campaign=b")
    assert answer.status == 409
    assert "There is no plan: contacts.csv: is gone." in await answer.text()
    world.run = paused(phase=STANDBY)
    assert "this run is standby" in await (await client.get("/plan?campaign=a")).text()


def test_while_nothing_is_begun_no_end_is_foreseen():
    """A halt, or a pause of every campaign; else the pace decides, and never beats the quota."""
    run = snapshot()
    assert outlook(run, run.campaigns).seconds == 5.0
    slow = snapshot(quota=QuotaSnapshot(60.0))
    assert outlook(slow, slow.campaigns).seconds == 10.0
    halted = snapshot(halts={"scope": NOW})
    assert outlook(halted, halted.campaigns).seconds is None
