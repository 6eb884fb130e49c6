"""CSV: what Excel and exports make of it, and what is wrong with rows."""

import asyncio

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT

RULES = RowRules(text="Hello")


def read(path, data, rules=RULES, layout=None):
    """Return the contacts, the rejected rows and the number of filtered ones."""
    path.write_bytes(data)

    async def drain():
        source = open_source(str(path), rules, layout=layout)
        return [batch async for batch in source.batches({})]

    batches = asyncio.run(drain())
    contacts = [contact for batch in batches for contact in batch.contacts]
    rejected = [row for batch in batches for row in batch.rejected]
    return contacts, rejected, sum(batch.filtered for batch in batches)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.csv"


def ids(contacts):
    return [contact.conversation_id for contact in contacts]


def judged(rejected):
    return [(row.line, row.reason) for row in rejected]


@pytest.mark.parametrize(
    "data",
    [
        b"conversation_id,x\nc1,1\nc2,2\n",
        b"conversation_id,x\nc1,1\nc2,2",
        b"\xef\xbb\xbfconversation_id,x\r\nc1,1\r\nc2,2\r\n",
        b"conversation_id;x\r\nc1;1\r\nc2;2\r\n",
        b"conversation_id\tx\nc1\t1\nc2\t2\n",
        b"conversation_id|x\nc1|1\nc2|2\n",
        b"sep=;\r\nconversation_id;x\r\nc1;1\r\nc2;2\r\n",
        b'\xef\xbb\xbf"sep=|"\nconversation_id|x\nc1|1\nc2|2\n',
        b"conversation_id,x\rc1,1\rc2,2\r",
        b'"conversation_id","x"\n"c1","1"\n"c2","2"\n',
        b"\n\r\n conversation_id , x \n\nc1,1\n   \nc2,2\n\n",
        b"conversation_id,x,,\nc1,1,,\nc2,2,ignored,\n",
    ],
)
def test_the_usual_shapes(file, data):
    """BOM, semicolons, tabs, a sep line, CRLF, lone CR, blank lines: two contacts each time."""
    contacts, rejected, filtered = read(file, data)
    assert ids(contacts) == ["c1", "c2"]
    assert [contact.attributes for contact in contacts] == [{"x": "1"}, {"x": "2"}]
    assert (rejected, filtered) == ([], 0)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"conversation_id\n"])
def test_a_file_without_rows(file, data):
    """An empty export is no mistake."""
    assert read(file, data) == ([], [], 0)


def test_a_configured_delimiter_wins(file):
    """The delimiter is not guessed if it is set."""
    layout = Layout(delimiter=":")
    contacts, _, _ = read(file, b"conversation_id:a,b,c,d\nc1:1,2,3,4\n", layout=layout)
    assert contacts[0].attributes == {"a,b,c,d": "1,2,3,4"}


def test_tsv_is_split_at_tabs(tmp_path):
    """A header full of commas does not mislead where the name says tabs."""
    contacts, _, _ = read(tmp_path / "a.tsv", b"conversation_id\ta,b,c\nc1\tx\n")
    assert contacts[0].attributes == {"a,b,c": "x"}


def test_quoted_fields(file):
    """Delimiters, doubled quotes and newlines inside quotes; quotes elsewhere mean nothing."""
    data = (
        b'conversation_id,a,b\r\nc1,"x,""y"" z","two\r\nlines"\r\nc2,6" disk,it"s\r\nc3,"",""\r\n'
    )
    contacts, rejected, _ = read(file, data)
    assert rejected == []
    assert [contact.attributes for contact in contacts] == [
        {"a": 'x,"y" z', "b": "two\r\nlines"},
        {"a": '6" disk', "b": 'it"s'},
        {},
    ]


def test_line_numbers_behind_a_record_of_many_lines(file):
    """A row's line is the physical one that it begins on."""
    data = b'conversation_id,a\nc1,"1\n2\n\n3"\nbad\nc2,x\n'
    contacts, rejected, _ = read(file, data)
    assert ids(contacts) == ["c1", "c2"]
    assert judged(rejected) == [(6, "columns")]


def test_a_quote_that_never_closes_costs_its_own_line(file):
    """Reading goes on at the very next line, at the end of the file too."""
    data = b'conversation_id,a\nc1,"open\nc2,b\nc3,c\n'
    contacts, rejected, _ = read(file, data)
    assert ids(contacts) == ["c2", "c3"]
    assert judged(rejected) == [(2, "open_quote")]
    assert rejected[0].raw == b'c1,"open'


def test_a_quote_is_open_for_a_bounded_number_of_lines(file):
    """A field may run over so many lines and not one more."""
    data = b'conversation_id,a\nc1,"1\n2\n3"\nc2,"1\n2\nc3,3\n4"\n'
    contacts, rejected, _ = read(file, data, layout=Layout(max_record_lines=3))
    assert ids(contacts) == ["c1", "c3"]
    assert judged(rejected) == [(5, "open_quote"), (6, "columns"), (8, "columns")]


def test_a_quote_that_closes_in_a_later_row_swallows_nothing(file):
    """Garbage behind the closing quote, or too many columns: only the first line is bad."""
    data = b'conversation_id,a\nc1,"open\nc2,"b"\nc3,"open\nc4,x",y\nc5,z\n'
    contacts, rejected, _ = read(file, data)
    assert ids(contacts) == ["c2", "c5"]
    assert judged(rejected) == [(2, "bad_quote"), (4, "columns"), (5, "columns")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"c1", "columns"),
        (b"c1,2,3", "columns"),
        (b'c1,"2",3', "columns"),
        (b'c1,"2"x', "bad_quote"),
        (b'c1,"2" ', "bad_quote"),
        (b"c1,\xff", "encoding"),
        (b'c1,"\xff"', "encoding"),
        (b"c1,\xed\xa0\x80", "encoding"),
        (b"c1,a\0b", "encoding"),
        (b'c1,"a\0b"', "encoding"),
        (b",x", "no_id"),
        (b"  ,x", "no_id"),
        (b"../x,x", "bad_id"),
    ],
)
def test_a_bad_row_stops_nothing(file, line, reason):
    """It is kept with file, line, reason and its bytes; its neighbours come through."""
    contacts, rejected, _ = read(file, b"conversation_id,a\nc0,x\n" + line + b"\nc9,x\n")
    assert ids(contacts) == ["c0", "c9"]
    assert judged(rejected) == [(3, reason)]
    assert (rejected[0].file, rejected[0].raw) == (str(file), line)


def test_a_line_without_end(file):
    """A line above the limit is cut and passed over; quoted ones too."""
    long = b"c1," + b"x" * (2 * LINE_LIMIT)
    data = b"conversation_id,a\n" + long + b'\nc2,x\nc3,"' + long + b'"\nc4,x\n'
    contacts, rejected, _ = read(file, data)
    assert ids(contacts) == ["c2", "c4"]
    assert judged(rejected) == [(2, "too_long"), (4, "too_long")]
    assert [row.raw for row in rejected] == [long[:RAW_LIMIT], (b'c3,"' + long)[:RAW_LIMIT]]


def test_an_open_quote_before_a_line_without_end(file):
    """Looking ahead stops at a line that is too long."""
    data = b'conversation_id,a\nc1,"x\n' + b"y" * (LINE_LIMIT + 1) + b'"\nc2,x\n'
    contacts, rejected, _ = read(file, data)
    assert ids(contacts) == ["c2"]
    assert judged(rejected) == [(2, "open_quote"), (3, "too_long")]


def test_raw_is_the_whole_record(file):
    """A record of several lines that is complete but bad is kept as a whole."""
    _, rejected, _ = read(file, b'conversation_id,a\n,"x\r\ny"\n')
    assert rejected[0].raw == b',"x\r\ny"'


def test_filtered_rows_are_counted(file):
    """A filter keeps rows out, and rows that do not parse are rejected all the same."""
    data = b"conversation_id,status\nc1,open\nc2,done\n,done\nbad\n"
    contacts, rejected, filtered = read(
        file, data, rules=RowRules(text="Hi", filter={"status": ["open"]})
    )
    assert (ids(contacts), judged(rejected), filtered) == (["c1"], [(5, "columns")], 2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"CONVERSATION,x\n1,2\n", ["CONVERSATION", "source.columns = { conversation_id ="]),
        (b"conversation_id,x,x\n", ["'x' more than once"]),
        (b"conversation_id,\xff\n", ["UTF-8"]),
        ("conversation_id,x\n".encode("utf-16-le"), ["UTF-8"]),
        (b'conversation_id,"x\n', ["CSV"]),
        (b"conversation_id," + b"x" * LINE_LIMIT, ["CSV"]),
    ],
)
def test_a_header_that_will_not_do(file, data, words):
    """The error names the file, what is wrong, and what to do."""
    with pytest.raises(SourceError) as caught:
        read(file, data)
    for word in [str(file), *words]:
        assert word in str(caught.value)


def test_a_column_that_the_settings_name_must_be_there(file):
    """A typing error in a mapping or a filter must not send to everybody, or to nobody."""
    for rules in (RowRules(columns={"text": "BODY"}), RowRules(filter={"status": ["open"]})):
        with pytest.raises(SourceError, match=r"BODY|status"):
            read(file, b"conversation_id,x\nc1,2\n", rules=rules)


def test_a_fallback_is_for_empty_cells_not_for_a_missing_column(file):
    """Without the column everyone would get the fallback: the file is refused."""
    rules = RowRules(text="Hello {name|there}", needed={"name"})
    contacts, rejected, _ = read(file, b"conversation_id,name\nc1,Ada\nc2, \n", rules)
    assert [contact.text for contact in contacts] == ["Hello Ada", "Hello there"]
    assert rejected == []
    with pytest.raises(SourceError, match="has no column 'name'"):
        read(file, b"conversation_id,first name\nc1,Ada\n", rules)


def test_a_text_of_a_row_is_no_template(file):
    """A placeholder that would be sent as it is rejects the row, also if its own cell is empty."""
    rows = b"".join(
        b"c%d,%s,%s\n" % (number, name, text)
        for number, (name, text) in enumerate(
            [
                (b"Ada", b"Hello {First_Name}"),
                (b"", b"Hello { first_name | there }"),
                (b"Ada", b"Hello {you}: {}"),
                (b"Ada", b"Hello Ada"),
            ]
        )
    )
    contacts, rejected, _ = read(file, b"conversation_id,first_name,text\n" + rows, RowRules())
    assert ids(contacts) == ["c2", "c3"]
    assert judged(rejected) == [(2, "placeholder"), (3, "placeholder")]
    assert "set it as message.text" in rejected[0].detail
