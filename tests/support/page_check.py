"""Checks the page of a real run in a real browser, against a sandbox: ``make page-check``.

It needs a browser (``apt-get install chromium``, or CHROMIUM=path), npm for axe, and a package
index for playwright, which goes into a virtual environment of its own in var/page. The pictures are
in var/page/pictures.
"""

import asyncio
import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import click

from dispatcher.cli.bundled_files import DATA
from dispatcher.domain.course import Course, CoursePoint
from dispatcher.http_server.page.guard import PageGuard
from dispatcher.http_server.page.live import live_parts
from dispatcher.http_server.page.outlook import PageState
from dispatcher.http_server.page.server import PageSource, serve_page
from dispatcher.ports.snapshot import CampaignSnapshot, QuotaSnapshot, RatesSnapshot, RunSnapshot

TOKEN = "t0ken-of-the-check"
MARKS = ("Markedname", "+4955501", "Marked text")
"""What stands in every row, and on no page."""
HOSTILE = "\"><script>alert('row')</script>"
READERS = 50
MOST_SHARE = 0.01
SECONDS = 12.0
"""How long each share of a core is measured."""
COURSE_SECONDS = 25.0
"""How long the run has a course before it is looked at."""
PAUSED_SECONDS = 4.0
"""After so long the snapshots of a run show its pause, and nothing is in flight any more."""
ROUNDS = 3


def main() -> int:
    """Check, and print what is wrong; return the exit code."""
    folder = Path(sys.argv[1])
    tools = folder / "venv/bin/python", folder / "node_modules/axe-core/axe.min.js"
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
    if not chromium or not all(tool.exists() for tool in tools):
        click.echo(__doc__)
        return 2
    pictures = folder / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    wrong: list[str] = []
    with _running(folder / "run") as url:
        wrong += asyncio.run(_without_a_browser(url))
        browser = Path(__file__).with_name("page_browser.py")
        command = [tools[0], browser, chromium, tools[1], pictures, url, TOKEN]
        pages = asyncio.run(_pages(url))
        wrong += _look(command, pages)
        wrong += asyncio.run(_nothing_personal(url, pages))
        asyncio.run(_pause(url))
        plan = {"paused": "/", "plan": "/plan"}
        wrong += _look(command, plan)
        wrong += asyncio.run(_nothing_personal(url, plan))
    shares = _cost()
    alone, read = (min(found) for found in shares)
    click.echo(f"{READERS} readers, each part new each second, side by side: "
          f"{[f'{share:.2%}' for share in shares[0]]} of a core without readers, "
          f"{[f'{share:.2%}' for share in shares[1]]} with them")  # fmt: skip
    if read - alone > MOST_SHARE:
        wrong.append(f"{READERS} readers cost {read - alone:.2%} of a core")
    click.echo(f"{len(list(pictures.iterdir()))} pictures in {pictures}: look at them")
    click.echo("\n".join(wrong) or "Nothing is wrong.")
    return bool(wrong)


def _look(command: list[str | Path], pages: dict[str, str]) -> list[str]:
    """Look at pages in a browser, and return what is wrong."""
    named = [f"{name}={path}" for name, path in pages.items()]
    looked = subprocess.run(
        [*map(str, command), *named], stdout=subprocess.PIPE, text=True, check=False
    )
    failed = [] if looked.returncode == 0 else ["the browser's program failed"]
    return [*looked.stdout.splitlines(), *failed]


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    """Run the demo's contacts, slowly and with marks in every row; yield the page's address."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    demo = DATA / "demo"
    with (demo / "contacts.csv").open(encoding="latin-1") as file:
        rows = list(csv.DictReader(file))
    with (folder / "contacts.csv").open("w", encoding="utf-8") as file:
        names = ["contact_key", "address", *rows[0]]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        for number, row in enumerate(rows):
            swapped = row["conversation_id"].startswith("swapped")
            key = f"{HOSTILE}{number}" if swapped else row["conversation_id"]
            marks = {"first_name": MARKS[0], "address": f"{MARKS[1]}{number:04}"}
            writer.writerow({**row, **marks, "contact_key": key, "status": "abandoned"})
    text = (demo / "scenario.toml").read_text("utf-8").replace("allowed = 2000", "allowed = 60")
    (folder / "scenario.toml").write_text(text, "utf-8")
    env = {
        **os.environ, "DISPATCHER_CLIENT_ID": "sandbox-client",
        "DISPATCHER_CLIENT_SECRET": "sandbox-secret", "PAGE_TOKEN": TOKEN,
    }  # fmt: skip
    dispatcher = [sys.executable, "-m", "dispatcher"]
    sandbox = subprocess.Popen(
        [*dispatcher, "sandbox", "--ready-json", "--port", "0", "--scenario", "scenario.toml"],
        cwd=folder, env=env, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert sandbox.stdout is not None
    api = json.loads(sandbox.stdout.readline())["url"]
    text = (demo / "dispatcher.toml").read_text("utf-8").replace("http://127.0.0.1:8080", api)
    text = text.replace("Hello {first_name}", f"{MARKS[2]} {{first_name}}")
    (folder / "dispatcher.toml").write_text(text.replace("60000", "1800"), "utf-8")
    port, agent = _free_port(), socket.socket(type=socket.SOCK_DGRAM)
    agent.bind(("127.0.0.1", 0))
    sets = (f"telemetry.page_port={port}", f"telemetry.statsd_port={agent.getsockname()[1]}",
             "telemetry.page_token_variable=PAGE_TOKEN",
            "control.page=true", "source.columns.contact_key=contact_key",
            "source.columns.address=address")  # fmt: skip
    run = subprocess.Popen(
        [*dispatcher, "run", "--config", "dispatcher.toml", *(f"--set={one}" for one in sets)],
        cwd=folder, env=env, stdout=(folder / "run.log").open("w"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(_wait_until_parked(url))
        yield url
    finally:
        for process in (run, sandbox):
            process.terminate()
            process.wait(30)
        agent.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth("me", token)}


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url, headers=_authorization(TOKEN)) as client:
        yield client


async def _text(client: aiohttp.ClientSession, path: str) -> str:
    async with client.get(path) as answer:
        return await answer.text()


async def _wait_until_parked(url: str) -> None:
    """Wait until there is something to look at."""
    async with _client(url) as client:
        for _ in range(120):
            try:
                if "reason=identity" in await _text(client, "/parked"):
                    await asyncio.sleep(COURSE_SECONDS)
                    return
            except aiohttp.ClientError:  # it is starting
                pass
            await asyncio.sleep(0.5)
    raise TimeoutError("the run parked nothing in a minute; see run.log")


async def _without_a_browser(url: str) -> list[str]:
    """Return what is not refused that must be."""
    ours = {"Sec-Fetch-Site": "same-origin"}
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    expected = [
        ("a missing token", 401, None, "GET", {}),
        ("a foreign Host", 421, TOKEN, "GET", {"Host": "evil.example"}),
        ("a post of another origin", 403, TOKEN, "POST", foreign),
        ("a post of another origin of an old browser", 403, TOKEN, "POST",
         {"Origin": "https://evil.example"}),
        ("a post with a foreign Host", 421, TOKEN, "POST", {**ours, "Host": "evil.example"}),
    ]  # fmt: skip
    wrong = []
    async with aiohttp.ClientSession(url) as client:
        for name, status, token, method, headers in expected:
            sent = {**headers, **(_authorization(token) if token else {})}
            path = "/" if method == "GET" else "/pause"
            form = {"campaign": "demo"} if method == "POST" else None
            async with client.request(
                method, path, headers=sent, data=form, allow_redirects=False
            ) as answer:
                click.echo(f"{name}: {answer.status}")
                if answer.status != status:
                    wrong.append(f"{name}: {answer.status}")
    return wrong


async def _pause(url: str) -> None:
    """Pause the campaign."""
    async with _client(url) as client:
        headers = {"Sec-Fetch-Site": "same-origin"}
        async with client.post("/pause", data={"campaign": "demo"}, headers=headers) as answer:
            answer.raise_for_status()
        await asyncio.sleep(PAUSED_SECONDS)


async def _pages(url: str) -> dict[str, str]:
    """Return every page by name, as links on other pages have them."""
    async with _client(url) as client:
        listed = await _text(client, "/parked?campaign=demo&reason=identity")
        lineage = await _text(client, "/lineage")
    hostile = re.search(r'href="(/contact\?name=%22[^"]+)"', listed)
    linked = re.search(r"<code>(ended-[^<]+)</code>", lineage)
    assert hostile is not None
    assert linked is not None
    return {
        "run": "/",
        "parked": "/parked",
        "listed": "/parked?campaign=demo&reason=identity",
        "hostile": hostile[1].replace("&amp;", "&"),
        "contact": f"/contact?name={linked[1]}",
        "lineage": "/lineage",
        "confirm": "/confirm?order=drop&campaign=demo&reason=identity",
        "done": "/done?order=replay&ready=3&in_doubt=0",
    }


async def _nothing_personal(url: str, pages: dict[str, str]) -> list[str]:
    """Return the pages that have a text, an address or a name, and the events, too."""
    wrong = []
    async with _client(url) as client:
        texts = {name: await _text(client, path) for name, path in pages.items()}
        async with client.get("/events") as answer:
            texts["events"] = (await answer.content.readuntil(b"event: work")).decode()
    for name, text in texts.items():
        wrong += [f"{name}: has {mark!r}" for mark in MARKS if mark in text]
    return wrong


def _cost() -> tuple[list[float], list[float]]:
    """Return the shares of a core that a page takes without readers, and with them, in turns."""
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.page_check", "serve", str(port)]
    )
    try:
        return asyncio.run(_measure(f"http://127.0.0.1:{port}", server.pid))
    finally:
        server.terminate()
        server.wait(10)


async def _measure(url: str, pid: int) -> tuple[list[float], list[float]]:
    alone: list[float] = []
    read: list[float] = []
    await asyncio.sleep(3)
    for _ in range(ROUNDS):
        alone.append(await _share(pid))
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0))
            )
            reading = [asyncio.ensure_future(_read(client)) for _ in range(READERS)]
            await asyncio.sleep(2)
            read.append(await _share(pid))
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        await asyncio.sleep(1)
    return alone, read


async def _read(client: aiohttp.ClientSession) -> None:
    async with client.get("/events", timeout=aiohttp.ClientTimeout()) as answer:
        async for _ in answer.content.iter_any():
            pass


async def _share(pid: int) -> float:
    before, start = _cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    return (_cpu_seconds(pid) - before) / (time.monotonic() - start)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _serve(port: int) -> None:
    """Serve a page whose every figure is new each second, until the process is ended."""
    started = time.time() - 600

    def snapshot() -> RunSnapshot:
        now = time.time()
        done = int(now - started)
        outcomes = {status: {"delivered": done * n} for n, status in enumerate(
            ("notified", "opened", "skipped", "rejected", "parked"), 1)}  # fmt: skip
        campaign = CampaignSnapshot(
            "demo", rows={"read": done}, outcomes=outcomes, due=max(90_000 - done, 1),
            rates=RatesSnapshot(5.0, 5.0, 10.0, 10.0), read_at=now,
        )  # fmt: skip
        return RunSnapshot(
            1, now, started, campaigns=[campaign], quota=QuotaSnapshot(300.0, done % 300, 1.0),
            requests_per_contact=2.0, throttled=done,
        )  # fmt: skip

    async def nothing(*_: object) -> None:
        return None

    course = Course()
    for second in range(600):
        course.add(float(second), {"notified": second})
    points: list[CoursePoint] = course.points
    parts = live_parts(PageState(snapshot(), {"demo": points}))
    click.echo(f"all parts together: {sum(map(len, parts.values())):,} bytes")
    async with AsyncExitStack() as stack:
        source = PageSource(snapshot, nothing, nothing, nothing, nothing)
        await serve_page(stack, "127.0.0.1", port, source, PageGuard((), str, writable=False))
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        import uvloop

        uvloop.run(_serve(int(sys.argv[2])))
    sys.exit(main())
