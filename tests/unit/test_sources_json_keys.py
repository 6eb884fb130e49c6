"""A key that a JSON object has twice: one of the two values would be dropped silently."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.jsonl_rows import parse_object
from dispatcher.sources.rows.row_errors import InvalidRowError

RULES = RowRules(text="Hello {name}", columns={"external_contact_id": "person"})


def read(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)

    async def drain():
        return [batch async for batch in open_source(str(path), RULES).batches({})]

    batches = asyncio.run(drain())
    rejected = [row for batch in batches for row in batch.rejected]
    return [one for batch in batches for one in batch.contacts], rejected


GOOD = '{"conversation_id": "c0", "name": "Ada", "person": "x"}'


@pytest.mark.parametrize(
    "pair",
    [
        '"conversation_id": "c1"',
        '"contact_key": "k", "contact_key": "k2"',
        '"person": "y"',
        '"expires_at": "2027-01-01", "expires_at": null',
        '"name"  : "Ben"',
        '"name"\t:\t"Ben"',
        r'"na\u006de": "Ben"',
        '"name": 7',
    ],
)
@pytest.mark.parametrize("layout", ["lines", "array", "pretty"])
def test_a_column_that_has_a_meaning_may_not_be_there_twice(tmp_path, pair, layout):
    """In every layout the row is rejected, the name is in the detail, and no value is."""
    bad = GOOD.replace("c0", "c1")[:-1] + f", {pair}}}"
    text = {
        "lines": f"{GOOD}\n{bad}\n",
        "array": f"[{GOOD},{bad}]",
        "pretty": f"{GOOD}\n{bad}\n".replace(", ", ",\n "),
    }[layout]
    (contact,), (row,) = read(tmp_path, text)
    assert (contact.conversation_id, row.reason) == ("c0", "columns")
    assert "more than once" in row.detail
    assert "Ben" not in row.detail


@pytest.mark.parametrize(
    "pair",
    ['"note": 1, "note": 2', '"tags": {"a": 1, "a": 2}', '"items": [{"name": "a"}, {"name": "b"}]'],
)
def test_what_no_column_reaches_into_hurts_nobody(tmp_path, pair):
    (contact,), rejected = read(tmp_path, GOOD[:-1] + f", {pair}}}\n")
    assert (contact.text, rejected) == ("Hello Ada", [])


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats()
    | st.text('a"\\:,{é\u2028', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text('a"', max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), _VALUES), max_size=4),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
)
def test_exactly_the_objects_with_a_key_twice_are_rejected(pairs, ascii_only, separators):
    comma, colon = separators
    texts = (
        f'"{name}"{colon}{json.dumps(value, ensure_ascii=ascii_only)}' for name, value in pairs
    )
    line = ("{" + comma.join(texts) + "}").encode()
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        with pytest.raises(InvalidRowError, match="more than once"):
            parse_object(line, lambda _: True)
    else:
        assert sorted(parse_object(line, lambda _: True)) == sorted(names)
