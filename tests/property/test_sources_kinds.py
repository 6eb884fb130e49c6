"""Kinds of CSV and JSON by which parsers are usually tested: each is read or rejected.

The inputs are written here; the kinds are those of the collections csv-spectrum and JSONTestSuite.
"""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules


def read(path, data):
    path.write_bytes(data)

    async def drain():
        source = open_source(str(path), RowRules(text="Hello"))
        return [batch async for batch in source.batches({})]

    batches = asyncio.run(drain())
    return (
        [{"conversation_id": row.key, **row.attributes} for b in batches for row in b.contacts],
        [row.reason for batch in batches for row in batch.rejected],
    )


CSV = {
    "a comma in quotes": (
        b'conversation_id,last,town\nc1,"Hill, Jr.",Rome\n',
        [{"conversation_id": "c1", "last": "Hill, Jr.", "town": "Rome"}],
    ),
    "empty cells": (
        b'conversation_id,a,b\nc1,"",""\nc2,3,4\n',
        [{"conversation_id": "c1"}, {"conversation_id": "c2", "a": "3", "b": "4"}],
    ),
    "empty cells, CRLF": (
        b'conversation_id,a,b\r\nc1,"",""\r\nc2,3,4\r\n',
        [{"conversation_id": "c1"}, {"conversation_id": "c2", "a": "3", "b": "4"}],
    ),
    "quotes in quotes": (
        b'conversation_id,b\nc1,"an ""apple"""\nc2,"""""\n"'.replace(b'"""""\n"', b'""""'),
        [{"conversation_id": "c1", "b": 'an "apple"'}, {"conversation_id": "c2", "b": '"'}],
    ),
    "JSON in a cell": (
        b'conversation_id,geo\nc1,"{""type"": ""Point"", ""at"": [1.5, 2]}"\n',
        [{"conversation_id": "c1", "geo": '{"type": "Point", "at": [1.5, 2]}'}],
    ),
    "line ends in quotes": (
        b'conversation_id,b,c\nc1,"One\nTwo",Three\nc2,x,"y\n\n"\n',
        [
            {"conversation_id": "c1", "b": "One\nTwo", "c": "Three"},
            {"conversation_id": "c2", "b": "x", "c": "y\n\n"},
        ],
    ),
    "line ends in quotes, CRLF": (
        b'conversation_id,b\r\nc1,"One\r\nTwo"\r\n',
        [{"conversation_id": "c1", "b": "One\r\nTwo"}],
    ),
    "quotes and line ends": (
        b'conversation_id,b\nc1,"say ""One\nTwo"""\n',
        [{"conversation_id": "c1", "b": 'say "One\nTwo"'}],
    ),
    "a quoted header": (
        b'"conversation_id","b c"\n"c1","x"\n',
        [{"conversation_id": "c1", "b c": "x"}],
    ),
    "a plain file": (b"conversation_id,b\nc1,2", [{"conversation_id": "c1", "b": "2"}]),
    "old line ends": (b"conversation_id,b\rc1,2\r", [{"conversation_id": "c1", "b": "2"}]),
    "letters beyond ASCII": (
        "conversation_id,b\nc1,ʤ€😀\n".encode(),
        [{"conversation_id": "c1", "b": "ʤ€😀"}],
    ),
    "one column": (b"conversation_id\nc1\nc2\n", [*({"conversation_id": f"c{n}"} for n in (1, 2))]),
    "a header alone": (b"conversation_id,b\n", []),
}


@pytest.mark.parametrize("kind", CSV)
def test_a_kind_of_csv_is_read(tmp_path, kind):
    """With every cell as it is meant."""
    data, rows = CSV[kind]
    assert read(tmp_path / "a.csv", data) == (rows, [])


ACCEPTED = [
    b"[]", b"[[]   ]", b'[""]', b"[false]", b"[null]", b"[1]", b'["a"]', b" [1]", b"[2] ",
    b"[1,null,null,null,2]", b"[123e65]", b"[0e+1]", b"[0e1]", b"[ 4]", b"[-0]", b"[-123]",
    b"[1E22]", b"[1E-2]", b"[1E+2]", b"[123.456e78]", b"[-0.000000000000000000000000000000000001]",
    b'{"a":"b","a":"c"}', b"{}", b'{"":0}', b'{"foo\\u0000bar": 42}', b'{"min": -1e+28}',
    b'{"a":[]}', b'{"title":"\\u041f\\u043e"}', b'{\n"a": "b"\n}', b'["\\u0060\\u012a\\u12AB"]',
    b'["\\uD801\\udc37"]', b'["\\"\\\\\\/\\b\\f\\n\\r\\t"]', b'["\\\\u0000"]', b'["\\u0012"]',
    b'["a/*b*/c/*d//e"]', b'["\xf4\x8f\xbf\xbf"]', b'["\x7f"]', b"42", b"-0.1", b"null", b"true",
    b'""', b'" "', b'["\\uFFFE"]', b'["\xe2\x80\xa8"]',
]  # fmt: skip
BROKEN = [
    b'["": 1]', b'[""],', b"[,1]", b"[1,,2]", b'["x",,]', b'["x"]]', b'["",]', b'["x"', b"[x",
    b"[3[4]]", b"[1:2]", b"[,]", b"[-]", b'[   , ""]', b'["a",\n4\n,1,', b"[1,]", b"[1,,]",
    b'["\va"\\f]', b"[*]", b'[""', b"[1,", b"[1,\n1\n,1", b"[{}", b"[fals]", b"[nul]", b"[tru]",
    b"[++1234]", b"[+1]", b"[+Inf]", b"[-01]", b"[-1.0.]", b"[-2.]", b"[-NaN]", b"[.-1]",
    b"[.2e-3]", b"[0.1.2]", b"[0.3e+]", b"[0.e1]", b"[0E]", b"[1.0e]", b"[1 000.0]", b"[1eE2]",
    b"[2.e3]", b"[9.e+]", b"[Inf]", b"[NaN]", b"[1+2]", b"[0x1]", b"[0x42]", b"[Infinity]",
    b"[-Infinity]", b"[-foo]", b"[- 1]", b"[-012]", b"[-.123]", b"[1ea]", b"[1.]", b"[.123]",
    b"[1.2a-3]", b"[012]", b'["x", truth]', b'{[: "x"}\n', b'{"x", null}', b'{"x"::"b"}',
    b'{"a":"a" 123}', b"{key: 'value'}", b'{"a" b}', b'{:"b"}', b'{"a"', b'{"a" "b"}', b'{"a":',
    b"{1:1}", b"{9999E9999:1}", b"{null:null,null:null}", b'{"id":0,,,,,}', b"{'a':0}",
    b'{"id":0,}', b'{"a":"b"}/**/', b'{"a":"b"}/**//', b'{"a":"b"}//', b'{"a":"b"}#',
    b'{"a":"b",,"c":"d"}', b'{a: "b"}', b'{"a":"a', b'{ "foo" : "bar", "a" }', b'{"a":true} "x"',
    b" ", b'["\\uD800\\"]', b'["\\uD800\\u"]', b'["\\x00"]', b'["\\a"]', b'["\\uD834\\uDd"]',
    b'[\\u0020"asd"]', b"[\\n]", b'"', b"['single']", b'["\\u00A"]', b'["a\0a"]', b'["a\na"]',
    b'["\t"]', b'"x', b"<.>", b"[<null>]", b"[1]x", b"[1]]", b'["asd]', b"aa", b"[True]", b"1]",
    b'{"x": true,', b"[][]", b"]", b"\xef\xbb{}", b"\xe5", b"[", b"2@", b"{}}", b'{"":', b'{"a":/*',
    b"[\x0c]", b"[\xe2\x81\xa0]", b"\xef\xbb\xbf", b"*", b'{"a":"b"}#{}', b'["a",\n', b"{,",
    b'{"a', b"{'a'", b'["\\{["\\{', b"[1,2,3", b"\xc3\xa5", b'["\xff"]', b'["\xed\xa0\x80"]',
    b'["\\uDFAA"]', b'["\\uD888\\u1234"]', b"[123123e100000]", b"[-1e+9999]", b"[0.4e00669999999]",
    b"[" * 100_000, b'[{"":' * 50_000, b"[" * 500 + b"]" * 500,
    b'\xff\xfe[\x00"\x00\xe9\x00"\x00]\x00',
    b'\x00[\x00"\x00\xe9\x00"\x00]', b"\xef\xbb\xbf{}",
]  # fmt: skip


def ids_and_reasons(path, data):
    """Read a file; an error about its columns is a reason, too."""
    try:
        contacts, rejected = read(path, data)
    except SourceError:
        return set(), {"header"}
    return {row["conversation_id"] for row in contacts}, set(rejected)


def test_no_kind_of_json_ends_otherwise_than_with_a_reason(tmp_path):
    """As a whole file none of them has a contact."""
    for kind in ACCEPTED + BROKEN:
        ids, reasons = ids_and_reasons(tmp_path / "a.json", kind)
        assert ids == set(), kind
        assert reasons <= {"json", "no_id", "encoding", "unreadable", "header"}, kind


@pytest.mark.parametrize("place", [b'{"conversation_id":"c2","a":%s}', b"%s"])
def test_a_line_of_any_kind_costs_no_other_line(tmp_path, place):
    """The lines before it and after it are contacts."""
    lines = [place.replace(b"%s", kind) for kind in ACCEPTED + BROKEN if b"\n" not in kind]
    good = [b'{"conversation_id":"g%d"}' % number for number in range(len(lines) + 1)]
    pairs = zip(good, [*lines, b""], strict=True)
    data = b"\n".join(line for pair in pairs for line in pair)
    contacts, rejected = read(tmp_path / "a.jsonl", data)
    ids = [row["conversation_id"] for row in contacts]
    assert [id_ for id_ in ids if id_ != "c2"] == [f"g{n}" for n in range(len(good))]
    assert set(rejected) <= {"json", "no_id", "encoding"}


@pytest.mark.parametrize("kind", [kind for kind in ACCEPTED if kind[:1] in b'["{-40ntf '])
def test_a_value_that_is_json_is_a_cell(tmp_path, kind):
    """Whatever its type, and in an object of an array, too."""
    row = b'{"conversation_id":"c2","a":%s}' % kind
    for data in (row, b"[" + row + b"]"):
        contacts, rejected = read(tmp_path / "a.json", data)
        assert [row["conversation_id"] for row in contacts] == ["c2"]
        assert rejected == []


PARTS = st.sampled_from(
    [b"[", b"]", b"{", b"}", b'"', b":", b",", b"\\", b"\n", b" ", b"1", b"NaN", b"null", b"\xff",
     b'{"conversation_id":"c1"}', b'"a"', b'"conversation_id":"c2"', b"\xef\xbb\xbf", b"\x1e"]
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(PARTS, max_size=25).map(b"".join), st.sampled_from([b"[", b'{"a":1}{', b""]))
def test_no_json_of_any_shape_raises_or_loses_its_end(parts, begin):
    """Contacts, rejected rows, or an error that names the header of what is not JSON."""
    with tempfile.TemporaryDirectory() as folder:
        ids, _ = ids_and_reasons(Path(folder) / "a.json", begin + parts)
        assert ids <= {"c1", "c2"}
