"""Posts as a source: which rows become contacts, and when a post is answered or refused."""

import asyncio
import json
import threading
from contextlib import aclosing

import pytest

from dispatcher.domain.opt_out import OptOutColumns
from dispatcher.domain.status import Irregularity
from dispatcher.ports import (
    Admitted,
    Post,
    PostLayout,
    PostRefusal,
    PostRefusedError,
    Receipt,
    RequestKey,
)
from dispatcher.sources.intake.http_source import INLINE_BYTES, MOST_POSTS, HttpSource
from dispatcher.sources.intake.post_parser import PostParser
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello")
ROWS = [{"conversation_id": "c1"}, {"conversation_id": "a/b"}, {"conversation_id": "c3"}]


def array(rows):
    return json.dumps(rows).encode()


def lines(rows):
    return b"\n".join(json.dumps(row).encode() for row in rows)


def parse(body, layout=PostLayout.AUTO, rules=RULES, most_rows=10, key=""):
    return PostParser(rules, most_rows).parse(Post(body, layout, key))


@pytest.mark.parametrize(
    ("body", "layout"),
    [
        (array(ROWS), PostLayout.AUTO),
        (array(ROWS), PostLayout.JSON),
        (b"\xef\xbb\xbf" + array(ROWS), PostLayout.AUTO),
        (json.dumps(ROWS, indent=2).encode(), PostLayout.AUTO),
        (lines(ROWS), PostLayout.AUTO),
        (lines(ROWS), PostLayout.LINES),
        (lines(ROWS).replace(b"\n", b"\r\n\r\n"), PostLayout.LINES),
        (lines(ROWS), PostLayout.JSON),
    ],
)
def test_the_rows_of_a_post(body, layout):
    """An array or one object a line; a rejected row has its number, whatever line it is on."""
    batch = parse(body, layout)
    assert [contact.conversation_id for contact in batch.contacts] == ["c1", "c3"]
    (rejected,) = batch.rejected
    assert (rejected.line, rejected.reason) == (2, "bad_id")


def test_a_row_that_is_no_json_costs_itself_only():
    """In lines; the rows around it become contacts."""
    batch = parse(b'{"conversation_id":"c1"}\n{"conversation_id":\n{"conversation_id":"c3"}')
    assert [contact.conversation_id for contact in batch.contacts] == ["c1", "c3"]
    assert [(row.line, row.reason) for row in batch.rejected] == [(2, "json")]


def test_no_row_is_no_mistake():
    """A client that has nothing to post now may say so."""
    assert parse(b"[]").rows == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b" ", "the body is empty"),
        (b'"c1"', "begins with '\"'"),
        (b"c1,c2", "begins with 'c'"),
        (array(ROWS)[:-1], "after row 3, at byte"),
        (array(ROWS)[:40], "after row 1, at byte"),
        (array(ROWS) + b" x", "after the end of the array"),
    ],
)
def test_a_body_that_is_no_list_of_rows(body, words):
    """Nothing of it is admitted, since nobody knows what is missing; the place is named."""
    with pytest.raises(PostRefusedError, match=words) as caught:
        parse(body)
    assert caught.value.refusal is PostRefusal.MALFORMED


def test_too_many_rows():
    """One more than permitted refuses the post, and names the setting."""
    assert parse(array(ROWS), most_rows=3).rows == 3
    with pytest.raises(PostRefusedError, match=r"source\.http\.most_rows") as caught:
        parse(array(ROWS), most_rows=2)
    assert caught.value.refusal is PostRefusal.TOO_MANY_ROWS


def test_a_column_that_the_settings_name_and_no_row_has():
    """As for a file: without it a misspelt opt-out column would send to everybody."""
    parser = PostParser(RowRules(text="Hello", opt_out=OptOutColumns(("stop",), ())), 10)
    fine = [{"conversation_id": "c1", "stop": None}, {"conversation_id": "c2"}]
    assert len(parser.parse(Post(array(fine))).contacts) == 2
    with pytest.raises(PostRefusedError, match="'stop'") as caught:
        parser.parse(Post(array([{"conversation_id": "c1", "stopp": "yes"}])))
    assert caught.value.refusal is PostRefusal.MISSING_COLUMNS


def test_the_settings_of_rows_hold_for_posts():
    """The filter counts what it leaves out, and null markers are counted in their own post."""
    rules = RowRules(text="Hello {name|there}", filter={"status": ["open"]})
    parser = PostParser(rules, 10)
    rows = [
        {"conversation_id": "c1", "status": "open", "name": "NULL"},
        {"conversation_id": "c2", "status": "done", "name": "Ada"},
    ]
    for _ in range(2):
        batch = parser.parse(Post(array(rows)))
        assert [contact.text for contact in batch.contacts] == ["Hello there"]
        assert (batch.filtered, batch.irregularities) == (1, {Irregularity.NULL_MARKER: 1})


def test_a_post_with_a_key_can_be_recognised():
    """By the key, and the digest of its body; without a key its rejected rows name the digest."""
    one, same, other = (parse(body, key="k") for body in (b"[]", b"[]", b"[ ]"))
    assert one.request == same.request
    assert one.request.key == other.request.key == "k"
    assert one.request.digest != other.request.digest
    assert parse(array(ROWS)).request is None
    assert parse(array(ROWS), key="k").rejected[0].file == "post k"


class Reader:
    """Takes the batches of a source, and admits them when a test says so."""

    def __init__(self, source):
        self.taken = []
        self.came = asyncio.Event()
        self.task = asyncio.ensure_future(self._read(source))

    async def _read(self, source):
        async with aclosing(source.batches({})) as batches:
            async for batch in batches:
                self.taken.append(batch)
                self.came.set()

    async def take(self, number):
        async with asyncio.timeout(5):
            while len(self.taken) < number:
                self.came.clear()
                await self.came.wait()

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def started(rules=RULES, most_rows=10_000):
    source = HttpSource(rules, most_rows)
    reader = Reader(source)
    await asyncio.sleep(0)
    return source, reader


async def test_a_post_is_answered_after_its_commit():
    """Not when its batch is taken; the answer has the result of the admission."""
    source, reader = await started()
    answer = asyncio.ensure_future(source.accept(Post(array(ROWS))))
    await reader.take(1)
    assert not answer.done()
    assert source.lag == 3
    reader.taken[0].done(Admitted(1, 1, ()))
    receipt = await answer
    assert (receipt.admitted, receipt.duplicates, receipt.rows, source.lag) == (1, 1, 3, 0)
    assert [row.row for row in receipt.rejected] == [2]
    await reader.stop()


async def test_a_repeat_is_answered_as_the_first_post_was():
    """With the receipt of the ledger; a key that was used for another body is refused."""
    source, reader = await started()
    receipt = Receipt(2, 0)
    first, second = (asyncio.ensure_future(source.accept(Post(b"[]", key="k"))) for _ in range(2))
    await reader.take(2)
    assert isinstance(reader.taken[0].request, RequestKey)
    reader.taken[0].done(Admitted(0, 0, (), receipt=receipt))
    reader.taken[1].done(Admitted(0, 0, (), key_reused=True))
    assert await first == receipt
    with pytest.raises(PostRefusedError) as caught:
        await second
    assert caught.value.refusal is PostRefusal.KEY_REUSED
    await reader.stop()


async def test_a_long_body_is_parsed_in_a_thread():
    """The event loop goes on, and the thread ends with the source."""
    source, reader = await started()
    rows = [{"conversation_id": f"c{number}", "note": "x" * 20} for number in range(2000)]
    body = array(rows)
    assert len(body) > INLINE_BYTES
    answer = asyncio.ensure_future(source.accept(Post(body)))
    await reader.take(1)
    assert len(reader.taken[0].contacts) == len(rows)
    reader.taken[0].done(Admitted(len(rows), 0, ()))
    await answer
    await reader.stop()
    source.close()
    for thread in threading.enumerate():
        if thread.name.startswith("posts"):
            thread.join(5)
            assert not thread.is_alive()


async def test_too_many_posts_that_wait():
    """One more is refused at once, with the time after which it may come again."""
    source, reader = await started()
    answers = [asyncio.ensure_future(source.accept(Post(b"[]"))) for _ in range(MOST_POSTS)]
    await reader.take(MOST_POSTS)
    with pytest.raises(PostRefusedError) as caught:
        await source.accept(Post(b"[]"))
    assert (caught.value.refusal, caught.value.retry_after) == (PostRefusal.BUSY, 1)
    reader.taken[0].done(Admitted(0, 0, ()))
    await answers[0]
    again = asyncio.ensure_future(source.accept(Post(b"[]")))
    await reader.take(MOST_POSTS + 1)
    await reader.stop()
    source.close()
    ends = await asyncio.gather(*answers[1:], again, return_exceptions=True)
    assert {end.refusal for end in ends} == {PostRefusal.CLOSED}


async def test_nothing_is_accepted_before_the_run_reads_and_after():
    """Closed is refused with the time after which a client may come again."""
    source = HttpSource(RULES, 10)
    with pytest.raises(PostRefusedError) as caught:
        await source.accept(Post(b"[]"))
    assert caught.value.refusal is PostRefusal.CLOSED
    reader = Reader(source)
    await asyncio.sleep(0)
    taken = asyncio.ensure_future(source.accept(Post(b"[]")))
    await reader.take(1)
    await reader.stop()
    with pytest.raises(PostRefusedError) as caught:
        await source.accept(Post(b"[]"))
    assert caught.value.retry_after
    reader.taken[0].done(Admitted(0, 0, ()))
    assert (await taken).rows == 0, "what was taken before the end is answered"


async def test_once_is_a_source_without_rows():
    """A dry run, a check and `run --once` wait for no post."""
    source = HttpSource(RULES, 10, once=True)
    assert not source.watched
    assert [batch async for batch in source.batches({})] == []
