"""Columns: names in another case, look-alikes, files without a header, files that were joined."""

import asyncio
import os
from dataclasses import replace

import pytest

from dispatcher.domain.status import Irregularity
from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.rows.csv_header import read_header_lines

HELLO = RowRules(text="Hello")


def read(path, data, rules=HELLO, **layout):
    """Return the contacts, the rejected rows' lines and reasons, and what was irregular."""
    path.write_bytes(data)

    async def drain():
        source = open_source(str(path), rules, layout=Layout(**layout))
        return [batch async for batch in source.batches({})]

    batches = asyncio.run(drain())
    contacts = [contact for batch in batches for contact in batch.contacts]
    rejected = [(row.line, row.reason) for batch in batches for row in batch.rejected]
    counts = {}
    for batch in batches:
        for kind, number in batch.irregularities.items():
            counts[kind] = counts.get(kind, 0) + number
    return contacts, rejected, counts


def problem(path, data, rules=HELLO, **layout):
    with pytest.raises(SourceError) as caught:
        read(path, data, rules, **layout)
    return str(caught.value)


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "a.csv"


@pytest.fixture
def jsonl(tmp_path):
    return tmp_path / "a.jsonl"


@pytest.mark.parametrize("name", ["EXPIRES_AT", "Expires At", "expires-at", "expiresAt"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_case_and_separators_make_no_difference(tmp_path, form, name):
    """A column is taken under each usual spelling of its name; so are those of the settings."""
    rules = RowRules(
        text="Hello {First_Name}", filter={"status": ["open"]}, named=("tz",), columns={}
    )
    data = f"Conversation ID,{name},FIRST-NAME,Status,TZ,Other\nc1,2026-11-22,Ada,open,UTC,x\n"
    if form == "jsonl":
        header, row = (line.split(",") for line in data.splitlines())
        pairs = ", ".join(f'"{key}": "{value}"' for key, value in zip(header, row, strict=True))
        data = f"{{{pairs}}}\n"
    ((contact,), rejected, _) = read(tmp_path / f"a.{form}", data.encode(), rules)
    assert rejected == []
    assert (contact.conversation_id, contact.expires_at) == ("c1", 1795305600.0)
    assert contact.text == "Hello Ada"
    assert contact.attributes == {"First_Name": "Ada", "status": "open", "tz": "UTC", "Other": "x"}


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("expiry_date", "expires_at"),
        ("ExpirationTime", "expires_at"),
        ("VALID_UNTIL", "expires_at"),
        ("expired_at", "expires_at"),
        ("expires at (UTC)", "expires_at"),
        ("send_after", "not_before"),
        ("notbefor", "not_before"),
        ("contact_kye", "contact_key"),
        ("external_id", "external_contact_id"),
        ("adress", "address"),
        ("expire_date", "expires_at"),
        ("deadline", "expires_at"),
        ("start_date", "not_before"),
    ],
)
def test_a_look_alike_is_an_error_with_the_line_to_write(csv, jsonl, name, meaning):
    """In both formats; each of the two lines that the message offers settles it."""
    data = f"conversation_id,{name}\nc1,2026-11-22\n".encode()
    objects = f'{{"conversation_id": "c1", "{name}": "2026-11-22"}}\n'.encode()
    for path, content in ((csv, data), (jsonl, objects)):
        words = problem(path, content)
        assert f'source.columns = {{ {meaning} = "{name}" }}' in words
        assert f'source.attributes = ["{name}"]' in words
        assert "c1" not in words
        for rules in (
            RowRules(text="Hello", columns={meaning: name}),
            RowRules(text="Hello", attributes=[name]),
        ):
            assert len(read(path, content, rules)[0]) == 1


@pytest.mark.parametrize(
    "name", ["first_name", "context", "created_at", "address2", "email_address", "status", "key"]
)
def test_ordinary_columns_are_attributes(csv, name):
    """Nothing has to be written for them."""
    ((contact,), _, _) = read(csv, f"conversation_id,{name}\nc1,x\n".encode())
    assert contact.attributes == {name: "x"}


@pytest.mark.parametrize("name", ["timezone", "time_zone", "tz", "TimeZone", "customer_tz"])
def test_a_column_of_time_zones_beside_quiet_hours(csv, name):
    """One zone for all would let messages go out at night; without quiet hours it is no matter."""
    data = f"conversation_id,{name}\nc-1,Asia/Tokyo\n".encode()
    assert len(read(csv, data)[0]) == 1
    words = problem(csv, data, replace(HELLO, lacks_zone=True))
    assert f'rules.timezone_column = "{name}"' in words


def test_a_column_that_is_not_taken_because_of_a_mapping(csv):
    """The file has an expiry under its own name, and the settings take another column."""
    data = b"conversation_id,VALID_UNTIL,EXPIRES_AT\nc1,2026-11-22,2020-01-01\n"
    columns = {"expires_at": "VALID_UNTIL"}
    assert "'EXPIRES_AT'" in problem(csv, data, RowRules(text="Hello", columns=columns))
    rules = RowRules(text="Hello", columns=columns, attributes=["expires_at"])
    ((contact,), _, _) = read(csv, data, rules)
    assert contact.expires_at == 1795305600.0
    assert contact.attributes == {"EXPIRES_AT": "2020-01-01"}


@pytest.mark.parametrize("meaning", ["text", "subject"])
def test_a_column_beside_a_template(csv, jsonl, meaning):
    """What a customer wrote must not be sent to them; the settings say which of the two is."""
    name = meaning.upper()
    rules = {"text": "Hello", "subject": "Cart"}
    data = f"conversation_id,{name}\nc1,How?\n".encode()
    objects = f'{{"conversation_id": "c1", "{name}": "How?"}}\n'.encode()
    for path, content in ((csv, data), (jsonl, objects)):
        assert f"message.{meaning}" in problem(path, content, RowRules(**rules))
        ((plain,), _, _) = read(path, content, RowRules(**rules, attributes=[meaning]))
        assert getattr(plain, meaning) == rules[meaning]
        assert plain.attributes == {name: "How?"}
        ((own,), _, _) = read(path, content, RowRules(**rules, columns={meaning: name}))
        assert getattr(own, meaning) == "How?"


def test_a_template_may_use_a_column_named_like_a_meaning(csv):
    """A declared attribute is what the placeholder of its name means."""
    rules = RowRules(text="You asked: {text}", attributes=["text"])
    ((contact,), _, _) = read(csv, b"conversation_id,text\nc1,How?\n", rules)
    assert contact.text == "You asked: How?"


def test_two_spellings_of_one_name(csv, jsonl):
    """Which of them is meant cannot be known."""
    words = problem(csv, b"conversation_id,expires_at,Expires At\nc1,,\n")
    assert "'expires_at' and 'Expires At'" in words
    first = b'{"conversation_id": "c1"}\n' * 200
    data = first + b'{"conversation_id": "c2", "CONVERSATION_ID": "c3"}\n'
    contacts, rejected, _ = read(jsonl, data)
    assert (len(contacts), rejected) == (200, [(201, "columns")])


def test_a_mapped_column_that_no_object_has(jsonl, tmp_path):
    """A typing error in a mapping is found before the first row, a rare column is not one."""
    rules = RowRules(text="Hello", columns={"expires_at": "VALID"})
    rows = b'{"conversation_id": "c1"}\n' * 3000
    assert "no row has 'VALID'" in problem(jsonl, rows, rules)
    contacts, _, _ = read(jsonl, rows + b'{"conversation_id": "c2", "valid": null}\n', rules)
    assert len(contacts) == 3001
    assert "no row has 'conversation_id'" in problem(jsonl, b'{"id": "c1"}\n')
    assert read(jsonl, b"nonsense\n")[1] == [(1, "json")]


@pytest.mark.parametrize(
    "first", [b"", b"conversation_id;name;city\n", b"CONVERSATION ID;Name;City\n"]
)
def test_a_file_without_a_header(csv, first):
    """The settings name its columns; a header with the same names is none the less a header."""
    header = ("conversation_id", "name", "city")
    data = first + b"c1;Ada, Eva;\nc2;Ben;Bonn\n"
    contacts, rejected, counts = read(csv, data, header=header)
    assert [contact.attributes for contact in contacts] == [
        {"name": "Ada, Eva"},
        {"name": "Ben", "city": "Bonn"},
    ]
    assert (rejected, counts) == ([], {})


def test_rows_without_a_header_are_exported_under_that_of_the_settings(csv):
    """The export can be used as a source with the same settings."""
    csv.write_bytes(b"c1;Ada;\n")
    layout = Layout(header=("conversation_id", "a;b", ""))
    (line,), _ = read_header_lines(str(csv), layout)
    assert line == b'conversation_id;"a;b";'
    contacts, rejected, _ = read(csv, line + b"\nc1;Ada;\n", header=layout.header)
    assert ([contact.attributes for contact in contacts], rejected) == ([{"a;b": "Ada"}], [])


def test_a_header_that_is_not_the_one_of_the_settings(csv):
    """Its rows would be read under wrong names."""
    words = problem(csv, b"name,conversation_id\nAda,c1\n", header=("conversation_id", "name"))
    assert "source.header" in words


@pytest.mark.parametrize(
    "row",
    [
        b"c-1,Eva Example,+49 170 0000009",
        b"text,subject,Eva Example",
        b"Eva Example,Eva Example,x",
        b'"Eva Example",c-1',
        b"conversation,Eva Example",
    ],
)
def test_a_row_in_place_of_a_header_is_never_quoted(csv, row):
    """Not in the message, and not in the detail that the ledger keeps."""
    words = problem(csv, row + b"\nc2,x,y\n")
    assert "source.header" in words
    assert "Eva" not in words
    assert "+49" not in words


def test_a_stream_is_held_back_until_its_columns_are_known():
    """Its rows cannot be read twice; one that never has the column yields nothing."""
    rules = RowRules(text="Hello", columns={"expires_at": "VALID"})

    def streamed(data):
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)

        async def drain():
            source = StreamSource("-", rules, Layout(format="jsonl"), descriptor=reading)
            return [contact async for batch in source.batches({}) for contact in batch.contacts]

        try:
            return asyncio.run(drain())
        finally:
            os.close(reading)

    rows = b'{"conversation_id": "c1"}\n' * 20
    assert len(streamed(rows + b'{"conversation_id": "c2", "valid": null}\n')) == 21
    with pytest.raises(SourceError, match="no row has 'VALID'"):
        streamed(rows)


def test_the_columns_of_all_files_are_checked_first(tmp_path):
    """The second part has no header: nothing of the first one is read."""
    (tmp_path / "a.csv").write_text("conversation_id,name\nc1,Ada\n")
    (tmp_path / "b.csv").write_text("c2,Eva\n")

    async def first_batch():
        return await anext(open_source(str(tmp_path / "*.csv"), HELLO).batches({}))

    with pytest.raises(SourceError, match=r"b\.csv"):
        asyncio.run(first_batch())


def test_files_that_were_joined(csv):
    """Headers and byte order marks within the file are passed over and counted."""
    bom = b"\xef\xbb\xbf"
    data = (
        b"conversation_id,name\nc1,Ada\n"
        + bom
        + b'"conversation_id","name"\nc2,Ben\nCONVERSATION_ID, Name \n'
        + bom
        + b'c3,"Eva"\n'
        + bom
        + b"c4,Udo\n"
        + bom
        + b"\n"
    )
    contacts, rejected, counts = read(csv, data)
    assert [(c.conversation_id, c.attributes["name"]) for c in contacts] == [
        ("c1", "Ada"), ("c2", "Ben"), ("c3", "Eva"), ("c4", "Udo"),
    ]  # fmt: skip
    assert rejected == []
    assert counts == {Irregularity.REPEATED_HEADER: 2, Irregularity.BYTE_ORDER_MARK: 4}


@pytest.mark.parametrize(
    "other",
    [
        b"conversation_id,expires_at",
        b"conversation_id,expiry_date",
        b"name,conversation_id",
        b"Conversation ID,NAME,",
        b"conversation_id,name,city",
        b"city,conversation_id,name",
        b"name,external_contact_id",
        b"expires_at,name,chat",
    ],
)
def test_another_header_within_the_rows_ends_the_reading(csv, other):
    """The rows before it are read; what the columns after it hold is not known."""
    csv.write_bytes(b"conversation_id,name\nc1,Ada\n" + other + b"\nEva,c2\n")
    got = []

    async def drain():
        async for batch in open_source(str(csv), HELLO).batches({}):
            got.extend(batch.contacts)
            stream = batch.stream
        return stream

    with pytest.raises(ColumnsError, match="line 3") as caught:
        asyncio.run(drain())
    assert [contact.conversation_id for contact in got] == ["c1"]
    assert "Eva" not in str(caught.value)


@pytest.mark.parametrize("row", ["conversation_id,Bob Secret", "conversation_id,Bob,Bob"])
def test_a_row_that_begins_like_a_header_costs_itself_alone(csv, row):
    """One cell makes no header; the reading must not end at that line for ever."""
    data = f"conversation_id,name,city\nc1,Ada,Rome\n{row}\nc2,Eva,Rome\n".encode()
    contacts, rejected, _ = read(csv, data)
    assert [contact.conversation_id for contact in contacts] == ["c1", "c2"]
    assert rejected == [(3, "columns")]


def test_another_header_is_named_with_what_to_do(csv):
    """The line is not called "the header", and may be a row that is to be corrected."""
    said = problem(csv, b"conversation_id,name\nc1,Ada\nconversation_id,text\n")
    assert f"{csv}: line 3 has names of columns" in said
    assert "correct that line" in said


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("text,expires_at", "Dear Ann"),
        ("text,not_before", "Dear Ann"),
        ("text,note", "Dear Ann"),
        ("a,text", "x"),
        ("a,subject", "x"),
        ("a,address", "x"),
        ("a,contact_key", "x"),
        ("a,external_contact_id", "x"),
        ("a,tz", "x"),
        ("a,name", "x"),
        ("a,status", "x"),
    ],
)
def test_a_row_that_a_line_break_may_have_cut(csv, header, row):
    """Half a message, and one without its expiry, must not be sent."""
    columns = {m: m for m in ("text", "subject") if m in header}
    filter_ = {"status": ["open"]} if "status" in header else {}
    rules = RowRules(text="Hi {name|you}", named=("tz",), columns=columns, filter=filter_)
    data = f"conversation_id,{header}\nc-1,{row}\n,cut,2020-01-01\n".encode()
    contacts, rejected, _ = read(csv, data, rules)
    assert (contacts, rejected[0]) == ([], (2, "columns"))


def test_a_text_like_a_name_is_no_header(csv):
    """What somebody wrote must not end the reading."""
    contacts, rejected, _ = read(csv, b"conversation_id,name\nc1,conversation_id\nc2,name\n")
    assert (len(contacts), rejected) == (2, [])


def test_a_filter_does_not_hide_another_header(csv):
    """A header's cell is not one of the filter's values."""
    rules = RowRules(text="Hello", filter={"status": ["open"]})
    data = b"conversation_id,status\nc1,open\nconversation_id,status\nc2,open\n"
    contacts, _, counts = read(csv, data, rules)
    assert (len(contacts), counts) == (2, {Irregularity.REPEATED_HEADER: 1})


def test_cells_at_the_end_of_a_row(csv):
    """Missing ones are empty, empty ones beyond the header are nothing, others are an error."""
    data = b"conversation_id,a,b\nc1,x\nc2,x,y,,\nc3,x,y,z\nc4\nc5,x,y, \nc6,x"
    contacts, rejected, counts = read(csv, data)
    assert [contact.attributes for contact in contacts] == [
        {"a": "x"}, {"a": "x", "b": "y"}, {"a": "x", "b": "y"},
    ]  # fmt: skip
    assert rejected == [(4, "columns"), (5, "columns"), (7, "columns")]
    assert counts == {Irregularity.MISSING_CELLS: 1, Irregularity.EXTRA_CELLS: 2}


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("external_contact_id", "NULL"),
        ("address", "\\N"),
        ("contact_key", "None"),
        ("expires_at", "NaT"),
        ("not_before", "null"),
        ("subject", "N/A"),
        ("text", " NULL"),
        ("name", " NULL"),
    ],
)
def test_a_text_that_means_no_value_is_never_written_to_anybody(csv, column, cell):
    """The fallback is written, whether the column has a meaning or not; else it is an error."""
    data = f"conversation_id,{column}\nc1,{cell}\n".encode()
    columns = {column: column} if column in ("text", "subject") else {}
    rules = RowRules(text=f"Hi {{{column}|friend}}", columns=columns)
    ((contact,), rejected, counts) = read(csv, data, rules)
    assert (contact.text, contact.key, contact.subject, rejected) == ("Hi friend", "c1", None, [])
    assert counts == {Irregularity.NULL_MARKER: 1}
    contacts, rejected, _ = read(csv, data, RowRules(text=f"Hi {{{column}}}", columns=columns))
    assert (contacts, rejected) == ([], [(2, "null_marker")])


@pytest.mark.parametrize(
    "foreign",
    [
        "{{name}}",
        "{{ Name }}",
        "{{name|there}}",
        "%name%",
        "%NAME%",
        "[name]",
        "<name>",
        "<<name>>",
    ],
)
def test_a_placeholder_of_another_program_is_not_sent_as_it_is(csv, foreign):
    """Everyone would get it in place of the own name."""
    said = problem(csv, b"conversation_id,name\nc1,Ada\n", RowRules(text=f"Hello {foreign}"))
    assert foreign in said
    assert "Write {name}" in said


@pytest.mark.parametrize(
    ("text", "sent"),
    [("{{it}} {name}", "{it} Ada"), ("${name}", "$Ada"), ("100 % [new]", "100 % [new]")],
)
def test_braces_and_signs_that_name_no_column_are_text(csv, text, sent):
    contacts, _, _ = read(csv, b"conversation_id,name\nc1,Ada\n", RowRules(text=text))
    assert contacts[0].text == sent
