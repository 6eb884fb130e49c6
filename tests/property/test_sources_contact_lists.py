"""A list of contacts means the same in whatever dialect it is written."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import Layout, RowRules
from tests.support.contact_lists import COLUMNS, NULLS, TEMPLATE, content, lists

MEANINGS = frozenset(COLUMNS) - {"name", "note"}


def read(data, dialect):
    layout = Layout(delimiter=dialect.delimiter if dialect.delimiter_is_set else "auto")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"contacts{dialect.suffix}"
        path.write_bytes(data)

        async def drain():
            source = open_source(str(path), RowRules(text=TEMPLATE), layout=layout)
            return [batch async for batch in source.batches({})]

        return asyncio.run(drain())


def expected(row):
    """Return the contact that a row means, as `found` shows it."""
    cells = row.cells | {name: "" for name in MEANINGS if row.cells[name] in NULLS}
    others = {name: cells[name] for name in ("name", "note") if cells[name].strip()}
    return (
        cells["contact_key"] or cells["conversation_id"],
        cells["conversation_id"],
        f"Hello {cells['name']}",
        cells["address"] or None,
        row.expires_at and row.expires_at.timestamp(),
        others,
    )


def found(contact):
    own = {name: cell for name, cell in contact.attributes.items() if name in COLUMNS}
    return (
        contact.key,
        contact.conversation_id,
        contact.text,
        contact.address,
        contact.expires_at,
        own,
    )


@settings(max_examples=80)
@given(lists())
def test_what_is_written_is_read(written):
    """The same contacts in their order, and a reason for each row that cannot become one."""
    rows, dialect = written
    batches = read(content(rows, dialect), dialect)
    contacts = [found(contact) for batch in batches for contact in batch.contacts]
    reasons = [row.reason for batch in batches for row in batch.rejected]
    assert contacts == [expected(row) for row in rows if row.reason is None]
    assert reasons == [row.reason for row in rows if row.reason is not None]
    assert sum(batch.rows for batch in batches) == len(rows)
