"""JSON Lines."""

import asyncio

import pytest

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.line_reader import LINE_LIMIT

RULES = RowRules(text="Hello")


def read(path, data, rules=RULES):
    path.write_bytes(data)

    async def drain():
        return [batch async for batch in open_source(str(path), rules).batches({})]

    batches = asyncio.run(drain())
    return (
        [contact for batch in batches for contact in batch.contacts],
        [row for batch in batches for row in batch.rejected],
    )


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.jsonl"


def test_values_become_text(file):
    """Numbers stay as written, booleans and nested values are JSON, null is missing."""
    data = (
        b'{"conversation_id": 7, "i": 18446744073709551616, "f": 1.10, "t": true, "n": null, '
        b'"e": "", "o": {"a": [1, null]}, "l": [], "s": "x"}\n'
    )
    contacts, rejected = read(file, data)
    assert rejected == []
    assert contacts[0].conversation_id == "7"
    assert contacts[0].attributes == {
        "i": "18446744073709551616",
        "f": "1.10",
        "t": "true",
        "o": '{"a":[1,null]}',
        "l": "[]",
        "s": "x",
    }


def test_a_number_that_is_none_hurts_no_other_column(file):
    """NaN and Infinity, which Python writes, are a missing cell; digits stay in that row, too."""
    data = (
        b'{"conversation_id":"c1","a":NaN,"b":-Infinity,"i":12345678901234567890123,"f":1e400,'
        b'"o":{"x":[NaN,7]},"d":1.10}\n'
    )
    contacts, rejected = read(file, data)
    assert rejected == []
    assert contacts[0].attributes == {
        "i": "12345678901234567890123",
        "f": "1e400",
        "o": '{"x":[null,7]}',
        "d": "1.10",
    }


@pytest.mark.parametrize("number", ["1e400", "-1E-400", "12345678901234567890123", "1.10"])
def test_a_number_of_any_size_is_text_as_it_is_written(file, number):
    """Without NaN in the row, too."""
    contacts, rejected = read(file, b'{"conversation_id":"c1","n":%s}\n' % number.encode())
    assert (contacts[0].attributes, rejected) == ({"n": number}, [])


def test_rows_need_not_have_the_same_columns(file):
    """BOM, CRLF and blank lines are no rows; each object has its own columns."""
    data = (
        b'\xef\xbb\xbf{"conversation_id":"c1","a":"1"}\r\n\r\n  \n{"conversation_id":"c2","b":"2"}'
    )
    contacts, rejected = read(file, data)
    assert [contact.attributes for contact in contacts] == [{"a": "1"}, {"b": "2"}]
    assert rejected == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "json"),
        (b"[1]", "json"),
        (b'"text"', "json"),
        (b"null", "json"),
        (b'{"conversation_id":"c1"} x', "json"),
        (b'{"conversation_id":"\\ud800"}', "json"),
        (b'{"conversation_id":"c1","a":nan}', "json"),
        (b'{"conversation_id":"c1","a":NaN,"b":"\\ud800"}', "json"),
        (b'{"conversation_id":"c1","a":NaN,"b":' + b"[" * 90000, "json"),
        (b'{"conversation_id":NaN}', "no_id"),
        (b'{"conversation_id":"c1","a":' + b"[" * 500 + b"]" * 500 + b"}", "json"),
        (b'{"conversation_id":"c1","f":1.5,"a":' + b"[" * 1020 + b"]" * 1020 + b"}", "json"),
        (b'{"conversation_id":"c1","a":' + b"[" * 90000, "json"),
        (b'{"conversation_id":"c1","a":"\xff"}', "encoding"),
        (b'{"conversation_id":"c1","a":"\0"}', "encoding"),
        (b'{"conversation_id":"c1","a":"\\u0000"}', "encoding"),
        (b"{}", "no_id"),
        (b'{"conversation_id":null}', "no_id"),
        (b'{"conversation_id":[]}', "no_id"),
        (b'{"conversation_id":"c1","a":"' + b"x" * LINE_LIMIT + b'"}', "too_long"),
    ],
)
def test_a_bad_row_stops_nothing(file, line, reason):
    """It is kept with its line, reason and bytes; its neighbours come through."""
    good = b'{"conversation_id":"c9"}\n'
    contacts, rejected = read(file, good + line + b"\n" + good)
    assert len(contacts) == 2
    assert [(row.line, row.reason) for row in rejected] == [(2, reason)]
    assert line.startswith(rejected[0].raw)


def test_an_escaped_backslash_is_no_nul(file):
    """Only a real NUL character is refused."""
    contacts, _ = read(file, b'{"conversation_id":"c1","a":"\\\\u0000"}\n')
    assert contacts[0].attributes == {"a": "\\u0000"}


@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "A.JSONL", "no-extension", "a.export"])
def test_the_format_goes_by_name_else_by_the_first_byte(tmp_path, name):
    """A brace at the start of a file with an unknown name means JSON Lines."""
    contacts, _ = read(tmp_path / name, b' {"conversation_id":"c1"}\n')
    assert len(contacts) == 1


def test_details_never_quote_the_row(file):
    """What a person wrote stays in the raw row."""
    secret = "SECRET"
    lines = [
        '{"conversation_id":"SECRET/"}',
        '{"conversation_id":"c","not_before":"SECRET"}',
        '{"SECRET":',
        '{"conversation_id":"c","text":"' + secret * 400 + '"}',
        '{"conversation_id":"c","contact_key":"SECRET K"}',
    ]
    rules = RowRules(text="Hello", columns={"text": "text"})
    _, rejected = read(file, "\n".join(lines).encode(), rules)
    assert len(rejected) == 5
    assert not [row for row in rejected if secret in row.detail]
