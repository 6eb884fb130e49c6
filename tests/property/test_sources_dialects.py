"""A list of contacts in any dialect is read back: the same contacts, or a rejected row each."""

import asyncio
import csv
import io
import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import Layout, RowRules

RULES = RowRules(text="Hello {first_name}", named=("tz",))
COLUMNS = ("conversation_id", "contact_key", "external_contact_id", "first_name", "tz", "note")
NULLS = ("\\N", "NULL", "null", "None", "nan", "#N/A", "(null)", "")
UUIDS = st.uuids().map(str)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12).filter(
    lambda text: not text or (text == text.strip() and text[0] != "\ufeff")
)
PEOPLE = st.fixed_dictionaries(
    {
        "conversation_id": UUIDS,
        "contact_key": st.one_of(st.none(), UUIDS, st.integers(1, 10**9).map("k-{}".format)),
        "external_contact_id": st.one_of(st.none(), UUIDS),
        "first_name": st.one_of(
            st.none(), st.sampled_from(["Ada", "Björk", "O'Neil", "李", '"Al"'])
        ),
        "tz": st.one_of(st.none(), st.just("Europe/Berlin")),
        "note": TEXTS,
    }
)
NAMES = st.sampled_from(
    [str, str.upper, lambda n: n.replace("_", " ").title(), lambda n: n.replace("_", "-")]
)
DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        "end": st.sampled_from(["\n", "\r\n"]),
        "bom": st.booleans(),
        "name": NAMES,
        "null": st.sampled_from(NULLS),
        "id_case": st.sampled_from([str, str.upper, str.swapcase]),
        "trailing": st.integers(-1, 2),
        "joined": st.booleans(),
        "header": st.booleans(),
    }
)


def cells(person, dialect):
    """Return a person's cells: ids in the dialect's case, its null marker for what is missing."""
    ids = [person[name] for name in COLUMNS[:3]]
    written = [dialect["id_case"](id_) if id_ and not id_.startswith("k-") else id_ for id_ in ids]
    values = [*written, *(person[name] for name in COLUMNS[3:])]
    return [dialect["null"] if value is None else value for value in values]


def as_csv(people, dialect):
    """Write the people; headers and byte order marks are those of files that were joined."""
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=dialect["delimiter"],
        quoting=dialect["quoting"],
        lineterminator=dialect["end"],
    )
    names = [dialect["name"](name) for name in COLUMNS]
    mark = "\ufeff" if dialect["bom"] else ""
    out.write(mark)
    if dialect["header"]:
        writer.writerow(names)
    for number, person in enumerate(people):
        if number and dialect["joined"]:
            out.write(mark)
            writer.writerow(names)
        row = cells(person, dialect)
        if dialect["trailing"] < 0 and not row[-1]:
            row.pop()
        writer.writerow([*row, *[""] * max(0, dialect["trailing"])])
    return out.getvalue().encode()


def as_objects(people, dialect):
    names = [dialect["name"](name) for name in COLUMNS]
    rows = (dict(zip(names, cells(person, dialect), strict=True)) for person in people)
    return "".join(json.dumps(row) + dialect["end"] for row in rows).encode()


def read(name, data, layout):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)

        async def drain():
            return [b async for b in open_source(str(path), RULES, layout=layout).batches({})]

        batches = asyncio.run(drain())
    contacts = [contact for batch in batches for contact in batch.contacts]
    return contacts, [row.reason for batch in batches for row in batch.rejected]


def expected(people):
    """Return the contacts of all who have a name, and how many have none."""
    named = [person for person in people if person["first_name"]]
    return [
        (
            person["contact_key"] or person["conversation_id"],
            person["conversation_id"],
            person["external_contact_id"],
            f"Hello {person['first_name']}",
            person["tz"],
        )
        for person in named
    ], len(people) - len(named)


@settings(max_examples=60)
@given(st.lists(PEOPLE, min_size=1, max_size=6), DIALECTS, st.sampled_from(["csv", "jsonl"]))
def test_the_same_contacts_come_back(people, dialect, form):
    """Nobody is lost, nobody is merged with another, and a missing name sends nothing."""
    layout = Layout(header=() if dialect["header"] else COLUMNS, delimiter=dialect["delimiter"])
    data = (as_csv if form == "csv" else as_objects)(people, dialect)
    contacts, rejected = read(f"a.{form}", data, layout)
    found = [
        (c.key, c.conversation_id, c.external_contact_id, c.text, c.attributes.get("tz"))
        for c in contacts
    ]
    reason = "null_marker" if dialect["null"] else "missing_placeholder"
    wanted, without_name = expected(people)
    assert found == wanted
    assert rejected == [reason] * without_name
