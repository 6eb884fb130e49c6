"""Objects that change, stores that are away or refuse, and plain HTTP servers."""

import asyncio
import socket
import threading
from contextlib import aclosing, contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait
from dispatcher.sources.objects.object_files import ObjectFiles, StoreOptions
from dispatcher.sources.objects.object_source import ObjectSource
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.columns_error import ColumnsError
from tests.support.servers.shared import on

pytestmark = on("s3_server")
RULES = RowRules(text="Hello")
ROWS = 60_000
"""Far more than is read ahead."""


@pytest.fixture
def bucket(s3_server):
    return s3_server.bucket()


def rows(letter, count=3):
    return ("conversation_id,name\n" + "".join(f"{letter}{n},x\n" for n in range(count))).encode()


def make_source(bucket, pattern="in/*", *, url=None, poll_seconds=None, patient=True):
    config = {**bucket.config, "endpoint": url or bucket.url}
    away = AwayWait(patient=patient, share=lambda: 0.99)
    files = ObjectFiles(f"{bucket.address}/{pattern}", StoreOptions(config, allow_http=True), away)
    return ObjectSource(files, RULES, poll_seconds=poll_seconds)


async def drained(source, known=(), act=None):
    """Read everything; ``act`` runs behind the first batch."""
    batches = []
    async with aclosing(source.batches(dict(known))) as coming:
        async for batch in coming:
            batches.append(batch)
            if act is not None and len(batches) == 1:
                act()
    return batches


async def until(holds):
    """Wait for what the reading thread does behind its last batch."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


def rejected(batches):
    return [(row.file, row.reason) for batch in batches for row in batch.rejected]


def known_after(batches):
    return {batch.stream.fingerprint: batch.stream for batch in batches if batch.stream}


async def test_an_object_that_is_replaced_while_it_is_read(bucket):
    """No range mixes both: one rejected row names it, and the new one is read as a whole."""
    bucket.put("in/a.csv", rows("a", ROWS * 4))
    batches = await drained(
        make_source(bucket), act=lambda: bucket.put("in/a.csv", rows("b", 1000))
    )
    assert rejected(batches) == [(f"{bucket.address}/in/a.csv", "changed")]
    found = ids(batches)
    old = [id_ for id_ in found if id_.startswith("a")]
    assert old == [f"a{n}" for n in range(len(old))]
    assert 0 < len(old) < ROWS * 4
    assert found[len(old) :] == [f"b{n}" for n in range(1000)]


async def test_an_object_that_is_replaced_between_two_runs(bucket):
    """It is named once, with how far the old one was read; the new one is read as a whole."""
    bucket.put("in/a.csv", rows("a", 2000))
    async with aclosing(make_source(bucket).batches({})) as batches:
        first = await anext(batches)
    bucket.put("in/a.csv", rows("b"))
    again = await drained(make_source(bucket), known_after([first]))
    assert rejected(again) == [(f"{bucket.address}/in/a.csv", "changed")]
    assert "up to line 257" in again[0].rejected[0].detail
    assert ids(again) == ["b0", "b1", "b2"]
    third = await drained(make_source(bucket), known_after([first, *again]))
    assert (ids(third), rejected(third)) == ([], [])


async def test_a_watched_prefix(bucket):
    """New objects and new versions are read, one with other columns is named and stops none."""
    bucket.put("in/a.csv", rows("a"))
    bucket.put("in/deeper/b.csv", rows("b"))
    source = make_source(bucket, "in/", poll_seconds=0.05)
    async with aclosing(source.batches({})) as batches:
        assert ids([await anext(batches)]) == ["a0", "a1", "a2"]
        bucket.put("in/0.csv", b"other,columns\n1,2\n")
        assert rejected([await anext(batches)]) == [(f"{bucket.address}/in/0.csv", "header")]
        await until(lambda: "0.csv does not have the columns" in source.waits_for)
        bucket.put("in/c.csv", rows("c"))
        assert ids([await anext(batches)]) == ["c0", "c1", "c2"]
        bucket.put("in/0.csv", rows("d"))
        assert ids([await anext(batches)]) == ["d0", "d1", "d2"]
        await until(lambda: not source.waits_for)


async def test_a_store_that_is_away_is_waited_for(bucket):
    """From the start on, with the reason; it is read once it is back."""
    bucket.put("in/a.csv", rows("a"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        source = make_source(bucket, url=f"http://127.0.0.1:{port}")
        reading = asyncio.ensure_future(drained(source))
        await until(lambda: source.waits_for)
        assert source.waits_for == f"{bucket.address}/in/: the store does not answer"
        assert not reading.done()
    with forwarding(port, bucket.url):
        assert ids(await reading) == ["a0", "a1", "a2"]
    assert source.waits_for == ""


async def test_a_check_does_not_wait(bucket):
    """The reason is an error at once."""
    source = make_source(bucket, url="http://127.0.0.1:9", patient=False)
    with pytest.raises(SourceError, match="the store does not answer; check that it runs"):
        await drained(source)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("none/*.csv", "no object matches"),
        ("in/none.csv", "404 NoSuchKey|404"),
    ],
)
async def test_nothing_there_is_named(bucket, pattern, words):
    """A glob without a match, and a key that does not exist."""
    bucket.put("in/a.csv", rows("a"))
    with pytest.raises(SourceError, match=words):
        await drained(make_source(bucket, pattern))


async def test_a_bucket_without_a_key(bucket):
    """The objects at its root are read, as those of a prefix are; not the bucket as one object."""
    bucket.put("a.csv", rows("a"))
    bucket.put("in/b.csv", rows("b"))
    assert ids(await drained(make_source(bucket, ""))) == ["a0", "a1", "a2"]


async def test_columns_are_checked_before_the_first_row(bucket):
    """One object of several has other columns: nothing is read before that is mended."""
    bucket.put("in/a.csv", rows("a"))
    bucket.put("in/b.csv", b"other,columns\n1,2\n")
    with pytest.raises((SourceError, ColumnsError), match=r"b\.csv"):
        await drained(make_source(bucket))


class Ranges(SimpleHTTPRequestHandler):
    """Serves a folder, with ranges and ETags; ``refusal`` is answered to everything."""

    refusal = 0

    def do_GET(self):
        data = (self.directory_path / self.path.lstrip("/")).read_bytes()
        if self.refusal:
            self.send_error(self.refusal)
            return
        first, last = 0, len(data) - 1
        if wanted := self.headers.get("Range"):
            first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
            last = min(last, len(data) - 1)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("ETag", f'"{len(data)}"')
        self.send_header("Last-Modified", self.date_time_string(0))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[first : last + 1])

    do_HEAD = do_GET  # noqa: N815 - the name that the base class calls

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def serving(handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def http_server(folder, refusal=0):
    return serving(type("Handler", (Ranges,), {"directory_path": folder, "refusal": refusal}))


def http_source(url, **options):
    files = ObjectFiles(url, StoreOptions(allow_http=True), AwayWait(patient=False))
    return ObjectSource(files, RULES, **options)


async def test_a_file_of_an_http_server(tmp_path):
    """By its address, in ranges."""
    (tmp_path / "a.csv").write_bytes(rows("a", 5000))
    with http_server(tmp_path) as url:
        batches = await drained(http_source(f"{url}/a.csv"))
    assert ids(batches) == [f"a{n}" for n in range(5000)]


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "does not accept the credentials"), (403, "do not permit"), (410, "was deleted")],
)
async def test_a_refusal_says_what_to_do(tmp_path, status, words):
    """It is for a person to mend, so it is not waited for."""
    (tmp_path / "a.csv").write_bytes(rows("a"))
    with http_server(tmp_path, status) as url, pytest.raises(SourceError, match=words):
        await drained(http_source(f"{url}/a.csv"))


async def test_the_account_of_azure_is_in_the_address():
    """The account is the host of the address, and the container the first part of its path."""
    asked = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path.partition("?")[0], self.headers.get("Authorization", "")))
            self.send_error(403)

        def log_message(self, *_):
            """Say nothing."""

    with serving(Refusing) as url:
        config = {"endpoint": url, "account_key": "a2V5"}
        files = ObjectFiles(
            "az://shop/exports/in/*",
            StoreOptions(config, allow_http=True),
            AwayWait(patient=False),
        )
        with pytest.raises(SourceError, match="az://shop/exports/in/: the store answers 403"):
            await drained(ObjectSource(files, RULES))
    path, authorization = asked[0]
    assert path == "/exports"
    assert authorization.startswith("SharedKey shop:")


async def test_a_server_without_ranges_is_not_waited_for(tmp_path):
    """It answers with the whole file, which may be of any size: that is named."""
    (tmp_path / "a.csv").write_bytes(rows("a"))

    class Whole(SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=tmp_path)

        def log_message(self, *_):
            """Say nothing."""

    with serving(Whole) as url:
        files = ObjectFiles(f"{url}/a.csv", StoreOptions(allow_http=True), AwayWait())
        batches = await asyncio.wait_for(drained(ObjectSource(files, RULES)), 10)
    assert rejected(batches) == [(f"{url}/a.csv", "unreadable")]
    assert "does not answer requests for ranges" in batches[0].rejected[0].detail


@pytest.mark.parametrize("path", ["", "in/", "in/*.csv", "a.csv?sig=signature-7Q"])
def test_an_http_server_has_no_list(path):
    """A query may be a signature, so it is not shown."""
    with pytest.raises(SourceError, match="has no list of its objects") as caught:
        http_source(f"https://shop.example/{path}")
    assert "7Q" not in str(caught.value)


@contextmanager
def forwarding(port, target):
    """Forward every connection to ``port`` to the host and port of a URL."""
    host, target_port = target.removeprefix("http://").split(":")

    def pump(source, sink):
        with source, sink:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve():
        while True:
            try:
                inward, _ = listening.accept()
            except OSError:
                return
            outward = socket.create_connection((host, int(target_port)))
            for pair in ((inward.dup(), outward.dup()), (outward, inward)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
