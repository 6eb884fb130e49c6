"""An export is complete or not there, and the cursor never runs ahead of it."""

import io
import json
from pathlib import Path

import pytest

from dispatcher.app import lineage_export
from dispatcher.app.lineage_export import ExportRequest, OutputError, export
from dispatcher.domain.status import Reason, Relation
from dispatcher.ports.questions import Page
from dispatcher.ports.stored_rows import LineageRow
from dispatcher.settings import LedgerPlace
from dispatcher.sinks import lineage_formats
from dispatcher.sinks.lineage_formats import COLUMNS, FormatError, write


def row(id_, **more):
    values = {
        "campaign": "c", "contact_key": f"=k-{id_}", "previous_conversation_id": "old",
        "conversation_id": "new", "message_id": None, "relation": Relation.LINKED,
        "reason": Reason.DELIVERED, "external_contact_id": "p", "state_seen": "ended",
        "state_at": 1.5, "sent_at": 2.25, "settled_at": 3.0, "attempts": 1, "sends": 2,
        "correlation_id": "corr", "verified": None, "verified_at": None,
        "attributes": {"name": 'Chloé "C", x\r\ny', "cart": "1"},
    }  # fmt: skip
    return LineageRow(id_, **{**values, **more})


@pytest.fixture
def ledger(monkeypatch):
    """The rows of a ledger; an exception among them is raised."""
    rows = []

    def one_a_page(_store, _rows, cursor):
        yield Page([], cursor or "0", True)
        for item in rows:
            if isinstance(item, Exception):
                raise item
            if item.id > int(cursor or "0"):
                yield Page([item], str(item.id), True)

    monkeypatch.setattr(lineage_export, "pages", one_a_page)
    return rows


def request(folder, name="out.jsonl", **more):
    values = {"since": None, "cursor_file": folder / "cursor", "out": folder / name, **more}
    return ExportRequest(LedgerPlace.of_file(Path("ledger.db")), None, "jsonl", **values)


def test_csv_follows_rfc_4180_and_leaves_ids_as_they_are():
    """Line ends, quotes, empty cells, times in UTC, attributes as JSON, and no id is changed."""
    out = io.BytesIO()
    written = write("csv", [Page([row(7)], "7", more=False)], out)
    head, line = out.getvalue().decode().split("\r\n", 1)
    assert head == ",".join(COLUMNS)
    assert line == (
        "c,=k-7,old,new,linked,delivered,p,ended,1970-01-01T00:00:01.500000Z,"
        "1970-01-01T00:00:02.250000Z,1970-01-01T00:00:03.000000Z,1,2,,corr,,,"
        '"{""name"":""Chloé \\""C\\"", x\\r\\ny"",""cart"":""1""}"\r\n'
    )
    assert (written.cursor, written.rows) == ("7", 1)


def test_the_cursor_file_drives_the_increments(tmp_path, ledger):
    """Each export begins where the one before ended; an empty one leaves the cursor."""
    ledger += [row(1), row(4)]
    export(request(tmp_path, "1"), io.BytesIO())
    ledger.append(row(5))
    export(request(tmp_path, "2"), io.BytesIO())
    export(request(tmp_path, "3"), io.BytesIO())
    keys = [
        [json.loads(line)["contact_key"] for line in (tmp_path / name).read_text().splitlines()]
        for name in "123"
    ]
    assert keys == [["=k-1", "=k-4"], ["=k-5"], []]
    assert (tmp_path / "cursor").read_text() == "5\n"
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o600


def test_an_export_that_fails_leaves_neither_a_file_nor_a_cursor(tmp_path, ledger):
    """What is there from the time before stays as it was."""
    (tmp_path / "cursor").write_text("0\n")
    ledger += [row(1), OSError(28, "No space left on device")]
    with pytest.raises(OutputError, match="No space left"):
        export(request(tmp_path), io.BytesIO())
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]
    assert (tmp_path / "cursor").read_text() == "0\n"


def test_parquet_without_its_package_says_what_to_install(monkeypatch):
    """Before anything is opened."""
    monkeypatch.setattr(lineage_formats, "find_spec", lambda _: None)
    with pytest.raises(FormatError, match=r"dispatcher\[parquet\]"):
        lineage_formats.check_format("parquet")
    lineage_formats.check_format("csv")


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_rows_are_written_as_they_come(format_):
    """Each block is written before the next one is read: memory does not grow with the rows."""
    out, sizes = io.BytesIO(), []

    def rows():
        for id_ in range(1, 3 * lineage_formats.BLOCK_ROWS + 1):
            if id_ % lineage_formats.BLOCK_ROWS == 1:
                sizes.append(out.tell())
            yield Page([row(id_)], str(id_), more=True)

    assert write(format_, rows(), out).rows == 3 * lineage_formats.BLOCK_ROWS
    assert len(sizes) == 3
    assert sizes == sorted(set(sizes))
