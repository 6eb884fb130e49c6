"""Lines, their offsets and their bound."""

import pytest

from dispatcher.sources.files.decompression import DamagedError
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT, LineReader, LongLine


def taken(reader):
    return list(iter(reader.take, None))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\n\nc", [b"a", b"b", b"", b"c"]),
        (b"a\r\nb\rc\n", [b"a\r", b"b\rc"]),
        (b"a\rb\rc", [b"a", b"b", b"c"]),
        (b"a\r", [b"a"]),
        (b"\xef\xbb\xbfa\nb", [b"a", b"b"]),
        (b"", []),
        (b"\n", [b""]),
    ],
)
def test_lines_do_not_depend_on_the_chunks(data, lines, size):
    """The first line's end decides; a mark at the beginning is dropped."""
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    reader = LineReader(iter(chunks))
    assert taken(reader) == lines
    assert reader.line == len(lines)
    assert min(reader.offset, reader.total) == len(data)


def test_every_offset_is_the_beginning_of_the_next_line():
    """Long lines and lines of several chunks are counted to the byte."""
    lines = [b"a", b"x" * (LINE_LIMIT + 5), b"", b"y" * 3 * LINE_LIMIT, b"b"]
    data = b"\n".join(lines)
    reader = LineReader(data[at : at + 70_001] for at in range(0, len(data), 70_001))
    for line in lines[:-1]:
        found = reader.take()
        assert line.startswith(found)
        assert isinstance(found, LongLine) == (len(line) > LINE_LIMIT)
        assert len(found) == (RAW_LIMIT if len(line) > LINE_LIMIT else len(line))
        before = reader.offset, reader.line
        reader.put_back(found)
        assert reader.offset == before[0] - len(line) - 1
        assert reader.take() is found
        assert (reader.offset, reader.line) == before
    assert data[reader.offset :] == b"b"


def test_peeking_takes_nothing():
    """Lines ahead can be seen, over the ends of chunks and up to the end."""
    reader = LineReader(iter([b"a\nb", b"\nc"]))
    assert [reader.peek(ahead) for ahead in range(4)] == [b"a", b"b", b"c", None]
    assert (reader.offset, reader.line) == (0, 0)
    assert taken(reader) == [b"a", b"b", b"c"]


def test_damage_ends_the_lines_before_the_torn_one():
    """What is after the last line's end is in ``torn``, and the reason in ``damage``."""

    def chunks():
        yield b"a\nb\nto"
        yield b"rn"
        raise DamagedError("cut")

    reader = LineReader(chunks())
    assert taken(reader) == [b"a", b"b"]
    assert (reader.damage, reader.torn, reader.offset) == ("cut", b"torn", 4)
