"""The stream of the page, and the course that it draws."""

import asyncio
from itertools import pairwise

from dispatcher.domain.course import MOST_POINTS, Course
from dispatcher.http_server.page import feed
from dispatcher.http_server.page.feed import Feed, Reader, encode


async def test_a_slow_reader_gets_the_newest():
    """What it did not take is replaced, and there is never more than one for it."""
    reader = Reader()
    for number in range(1000):
        reader.put({"now": encode("now", str(number))})
    assert await reader.next() == b"event: now\ndata: 999\n\n"
    waiting = asyncio.ensure_future(reader.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    reader.close()
    assert await waiting is None


async def test_only_what_changed_is_sent():
    """Equal parts are not sent again, also if one between was passed over."""
    reader = Reader()
    reader.put({"a": b"1", "b": b"1"})
    assert await reader.next() == b"11"
    reader.put({"a": b"2", "b": b"1"})
    reader.put({"a": b"3", "b": b"1"})
    assert await reader.next() == b"3"


async def test_parts_are_made_once_for_all_readers_and_not_without_one(monkeypatch):
    """The feed runs while somebody reads."""
    monkeypatch.setattr(feed, "FEED_SECONDS", 0.01)
    made = []
    stream = Feed(lambda: made.append(1) or {"n": str(len(made))})
    readers = [stream.join() for _ in range(50)]
    assert set(await asyncio.gather(*(reader.next() for reader in readers))) == {encode("n", "1")}
    assert len(made) == 1
    for reader in readers:
        stream.leave(reader)
    await asyncio.sleep(0.05)
    assert len(made) == 1
    assert not stream.full
    stream.close()
    assert stream.full


def test_a_text_of_several_lines_stays_one_event():
    """A line end in a value cannot begin another event."""
    assert encode("x", "a\nevent: y\r\nb") == b"event: x\ndata: a\ndata: event: y\ndata: b\n\n"


def test_the_course_of_a_day_has_a_bounded_number_of_points():
    """They reach from the start until now, evenly."""
    course = Course()
    for second in range(86_400):
        course.add(float(second), {"notified": second})
    points = course.until(86_400.0, {"notified": 86_400})
    assert MOST_POINTS // 2 <= len(points) <= MOST_POINTS + 1
    assert (points[0].seconds, points[-1].seconds) == (0.0, 86_400.0)
    steps = {b.seconds - a.seconds for a, b in pairwise(points[:-1])}
    assert steps == {course.interval}


async def test_a_defect_ends_the_readers_and_not_the_feed(caplog):
    """It is logged, and who comes again starts the feed again."""
    made = iter([ValueError("a defect"), {"n": "1"}])

    def make():
        found = next(made)
        if isinstance(found, Exception):
            raise found
        return found

    stream = Feed(make)
    assert await stream.join().next() is None
    assert "a defect" in caplog.text
    reader = stream.join()
    assert await reader.next() == encode("n", "1")
    stream.leave(reader)
