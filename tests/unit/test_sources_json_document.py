"""JSON documents: arrays, and objects over several lines or several on one line."""

import asyncio
import json

import pytest

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.line_reader import LINE_LIMIT

ROWS = [{"conversation_id": f"c{n}", "a": 'q"},{ \\ é', "o": {"x": [1, {}]}} for n in range(700)]
EXPECTED = [(f"c{n}", {"a": 'q"},{ \\ é', "o": '{"x":[1,{}]}'}) for n in range(700)]


def read(path, data, layout=None):
    path.write_bytes(data)

    async def drain():
        source = open_source(str(path), RowRules(text="Hello"), layout=layout)
        return [batch async for batch in source.batches({})]

    batches = asyncio.run(drain())
    return (
        [(row.key, dict(row.attributes)) for batch in batches for row in batch.contacts],
        [row for batch in batches for row in batch.rejected],
    )


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.csv"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps(ROWS, indent="\t", ensure_ascii=False).replace("\n", "\r\n"),
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
        "\ufeff  \n [" + "\n,".join(map(json.dumps, ROWS)) + "]",
        "\n".join(json.dumps(row, indent=4) for row in ROWS),
        "".join(map(json.dumps, ROWS)),
        "".join(f"\x1e{json.dumps(row)}\n" for row in ROWS),
        ",\n".join(map(json.dumps, ROWS)) + ",\n",
        "".join(json.dumps(ROWS[at : at + 70]) for at in range(0, 700, 70)),
        "\n".join(map(json.dumps, ROWS)),
        "\ufeff".join(json.dumps(row) + "\n" for row in ROWS),
    ],
)
@pytest.mark.parametrize("format_", ["auto", "jsonl"])
def test_every_layout_of_the_same_objects_is_read(file, text, format_):
    """Whatever the name of the file, with and without the format being set."""
    assert read(file, text.encode(), Layout(format=format_)) == (EXPECTED, [])


def test_a_value_that_is_no_contact_costs_only_itself(file):
    """It is kept with its first line, and on one line."""
    data = (
        b'[{"conversation_id":"c1"},\n 7, "a, ]", null,\n [1, {"conversation_id":"x"}],\n'
        b' {"a"\n: tru}, {"conversation_id":"\xff"}, {},\n\n oops,\n {"conversation_id":"c2"}]'
    )
    contacts, rejected = read(file, data)
    assert [key for key, _ in contacts] == ["c1", "c2"]
    assert [(row.line, row.reason, row.raw) for row in rejected] == [
        (2, "json", b"7"),
        (2, "json", b'"a, ]"'),
        (2, "json", b"null"),
        (3, "json", b'[1, {"conversation_id":"x"}]'),
        (4, "json", b'{"a" : tru}'),
        (5, "encoding", b'{"conversation_id":"\xff"}'),
        (5, "no_id", b"{}"),
        (7, "json", b"oops"),
    ]


def test_a_missing_quote_costs_one_object_where_fields_have_lines_of_their_own(file):
    """A line end ends the string: JSON does not permit one inside."""
    rows = json.dumps(
        [{"conversation_id": f"c{n}", "a": "x", "b": "y"} for n in range(4)], indent=1
    )
    broken = rows.replace('"x",', '"x,', 2).replace('"x,', '"x",', 1)
    contacts, rejected = read(file, broken.encode())
    assert [key for key, _ in contacts] == ["c0", "c2", "c3"]
    assert [(row.line, row.reason) for row in rejected] == [(7, "json")]


def test_a_missing_quote_costs_one_object_where_objects_have_lines_of_their_own(file):
    """The next line that begins with an object ends the broken one."""
    rows = [f'{{"conversation_id": "c{n}", "a": "x"}}' for n in range(4)]
    rows[1] = rows[1].replace('x"', "x")
    contacts, rejected = read(file, ("[\n" + ",\n".join(rows) + "\n]").encode())
    assert [key for key, _ in contacts] == ["c0", "c2", "c3"]
    assert [(row.line, row.reason) for row in rejected] == [(3, "json")]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (b"", "the array does not end"),
        (b",\n", "the array does not end"),
        (b', {"conversation_id":"c2"', "a value does not end"),
        (b', {"conversation_id":"c2', "a value does not end"),
        (b', {"conversation_id":"c2\\', "a value does not end"),
        (b', {"a":{"conversation_id":"c2"}, {"conversation_id":"c3"}]', "does not end"),
        (b'], {"conversation_id":"c3"}', "after the end"),
        (b'] {"conversation_id":"c3"}', "after the end"),
    ],
)
def test_a_document_that_is_cut_short_or_goes_on_is_one_rejected_row(file, end, words):
    """The objects before it are good, and nothing after it is guessed."""
    contacts, rejected = read(file, b'[{"conversation_id":"c1"}' + end)
    assert contacts[0] == ("c1", {})
    assert "c2" not in [key for key, _ in contacts]
    assert rejected[-1].reason == "unreadable"
    assert words in rejected[-1].detail


def test_a_long_object_costs_only_itself_and_no_memory(file):
    """Only its beginning is kept."""
    long = b'{"conversation_id":"c1","a":"' + b"x" * LINE_LIMIT + b'","o":{}}'
    data = b'[{"conversation_id":"c0"},' + long + b',\n{"conversation_id":"c2"}]'
    contacts, rejected = read(file, data)
    assert [key for key, _ in contacts] == ["c0", "c2"]
    assert [(row.line, row.reason, len(row.raw)) for row in rejected] == [(1, "too_long", 8192)]


@pytest.mark.parametrize("data", [b"[]", b" [\n]\n"])
def test_an_empty_array_has_no_rows(file, data):
    """And no mistake."""
    assert read(file, data) == ([], [])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"conversation_id,a\nc1,x\n"),
        ("a.jsonl", b"Conversation Id;a\nc1;x\n".replace(b"Conversation Id", b"conversation_id")),
        ("a.csv", b'{"conversation_id":"c1","a":"x"}\n'),
        ("a.tsv", b'[{"conversation_id":"c1","a":"x"}]'),
        ("a.txt", b'{\n"conversation_id":"c1","a":"x"}\n'),
        ("[a].csv", b"conversation_id,a\nc1,x\n"),
    ],
)
def test_the_content_decides_and_not_the_name(tmp_path, name, data):
    """CSV, JSON Lines and JSON documents under any name."""
    assert read(tmp_path / name, data) == ([("c1", {"a": "x"})], [])


def test_a_header_with_brackets_is_csv(file):
    """As some databases write the names of columns."""
    rules = RowRules(text="Hello", columns={"conversation_id": "[conversation_id]"})
    file.write_bytes(b"[conversation_id],[a]\nc1,x\n")

    async def drain():
        return [batch async for batch in open_source(str(file), rules).batches({})]

    (batch,) = asyncio.run(drain())
    assert [(row.key, row.attributes) for row in batch.contacts] == [("c1", {"[a]": "x"})]
