"""Writes one list of contacts in any of the dialects that programs export.

Three dimensions depend on how columns and cells are read, and are behind flags: names of columns in
another case, texts that mean no value, and trailing cells that are missing or too many.
"""

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pyarrow as pa
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.packed import PACKERS

HEADER_CASE = True
NULL_MARKERS = True
TRAILING_CELLS = True

COLUMNS = ("conversation_id", "contact_key", "address", "expires_at", "name", "note")
"""``name`` is used by the template, ``note`` by nothing."""
TEMPLATE = "Hello {name}"


COMPRESSIONS = {
    **PACKERS,
    "gzip twice": lambda data: gzip.compress(gzip.compress(data)),
    "gzip in parts": lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]),
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
SUFFIXES = ("", ".csv", ".tsv", ".txt", ".json", ".jsonl", ".gz", ".csv.zst", ".parquet", ".xlsx")
SHAPES = (
    "csv", "csv", "csv", "lines", "array", "pretty array", "array of lines", "pretty objects",
    "objects on one line", "arrays", "parquet",
)  # fmt: skip

CET = timezone(timedelta(hours=1))
DATES = {
    "iso": lambda at: at.isoformat(),
    "iso, utc": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "basic": lambda at: at.strftime("%Y%m%dT%H%M%SZ"),
    "no offset": lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
    "snowflake": lambda at: at.astimezone(CET).strftime("%Y-%m-%d %H:%M:%S.000 +0100"),
    "nanoseconds": lambda at: at.strftime("%Y-%m-%d %H:%M:%S.000000000 Z"),
    "redshift": lambda at: at.strftime("%Y-%m-%d %H:%M:%S+00"),
    "bigquery": lambda at: at.strftime("%Y-%m-%d %H:%M:%S UTC"),
    "seconds": lambda at: str(int(at.timestamp())),
    "milliseconds": lambda at: str(int(at.timestamp()) * 1000),
    "microseconds": lambda at: str(int(at.timestamp()) * 1000_000),
    "mail": format_datetime,
}
BAD_DATES = ("03/04/2031", "45983", "2031-02-30", "2031-02-03 10:00:00 EST", "soon", "2.03e9")
NULLS = (r"\N", "NULL", "null", "None", "NaN", "nan", "N/A", "#N/A")
ALIKE = {
    "conversation_id": ("CONVERSATION_ID", "Conversation Id", "conversationId", "conversation-id"),
    "contact_key": ("CONTACT_KEY", "ContactKey"),
    "expires_at": ("EXPIRES_AT", "expiresAt", "Expires At"),
    "name": ("NAME", "Name"),
}


@dataclass
class Row:
    """What a row means: its cells as text, its date, and the reason it is rejected for."""

    cells: dict[str, str]
    expires_at: datetime | None = None
    reason: str | None = None
    surplus: int = 0
    """Cells behind the last column; one that is not empty makes the row bad."""


@dataclass
class Dialect:
    """How a list is written."""

    shape: str
    compression: str
    encoding: str
    suffix: str
    date: str
    columns: list[str]
    names: dict[str, str] = field(default_factory=dict)
    delimiter: str = ","
    delimiter_is_set: bool = False
    quoting: int = csv.QUOTE_MINIMAL
    end: str = "\n"
    ends_with_a_line_end: bool = True
    separator_line: bool = False
    blank_lines: bool = False
    ascii_only: bool = False


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NASTY = st.sampled_from(
    ['"', '""', 'a "b" c', "two\nlines", "two\r\nlines", "a,b;c|d\te", "{", "}]", "[1,", "#", "\\",
     "\u2028", "\ufeff", "sep=;", "  blanks  ", "é", "😀", "conversation_id", "'", "1e5", "007"]
)  # fmt: skip
NAMES = st.one_of(TEXTS, NASTY).filter(lambda text: "conversation" not in text)
"""A row with two cells like the name of the id's column counts as a header."""
MOMENTS = st.integers(1_900_000_000, 2_500_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@st.composite
def rows(draw, number):
    """One row, good or with one defect."""
    cells = {
        "conversation_id": f"c{number}-" + draw(st.text("abcdefghij._~:@=+-", max_size=6)),
        "contact_key": draw(st.sampled_from(["", f"k{number}"])),
        "address": draw(st.sampled_from(["", f"a{number}@example.com"])),
        "expires_at": "",
        "name": "n" + draw(NAMES),
        "note": draw(st.one_of(TEXTS, NASTY)),
    }
    row = Row(cells, draw(st.one_of(st.none(), MOMENTS)))
    defect = draw(st.sampled_from([None] * 6 + ["no_id", "bad_id", "bad_date", "placeholder"]))
    if defect == "no_id":
        cells["conversation_id"] = draw(st.sampled_from(["", "  "]))
        row.reason = "no_id"
    elif defect == "bad_id":
        cells["conversation_id"] = f"c{number}/x"
        row.reason = "bad_id"
    elif defect == "bad_date":
        row.expires_at = None
        cells["expires_at"] = draw(st.sampled_from(BAD_DATES))
        row.reason = "bad_date"
    elif defect == "placeholder":
        cells["name"] = ""
        row.reason = "missing_placeholder"
    return row


@st.composite
def dialects(draw):
    """One dialect."""
    shape = draw(st.sampled_from(SHAPES))
    dialect = Dialect(
        shape=shape,
        compression="" if shape == "parquet" else draw(st.sampled_from([*COMPRESSIONS])),
        encoding=draw(st.sampled_from(ENCODINGS)),
        suffix=draw(st.sampled_from(SUFFIXES)),
        date=draw(st.sampled_from([*DATES])),
        columns=draw(st.permutations(COLUMNS)),
        delimiter=draw(st.sampled_from(",;\t|^")),
        delimiter_is_set=draw(st.booleans()),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        ends_with_a_line_end=draw(st.booleans()),
        blank_lines=draw(st.booleans()),
        ascii_only=draw(st.booleans()),
    )
    dialect.delimiter_is_set |= dialect.delimiter == "^" or dialect.suffix == ".tsv"
    dialect.separator_line = not dialect.delimiter_is_set and draw(st.booleans())
    for column, others in ALIKE.items():
        if HEADER_CASE and draw(st.booleans()):
            dialect.names[column] = draw(st.sampled_from(others))
    return dialect


@st.composite
def lists(draw):
    """A list of rows, and the dialect to write it in."""
    dialect = draw(dialects())
    written = [draw(rows(number)) for number in range(draw(st.integers(0, 8)))]
    for row in written:
        if row.expires_at is not None:
            row.cells["expires_at"] = DATES[dialect.date](row.expires_at)
        for column in ("contact_key", "address", "expires_at", "name"):
            if NULL_MARKERS and not row.cells[column].strip() and draw(st.booleans()):
                row.cells[column] = draw(st.sampled_from(NULLS))
                if column == "name" and row.reason == "missing_placeholder":
                    row.reason = "null_marker"
        if dialect.shape == "csv" and TRAILING_CELLS:
            is_whole = dialect.ends_with_a_line_end or row is not written[-1]
            is_line = not any(sign in cell for cell in row.cells.values() for sign in "\r\n")
            row.surplus = draw(st.sampled_from([0, 0, 2, -3 * (is_whole and is_line)]))
    return written, dialect


def content(written, dialect):
    """Return the file's bytes."""
    if dialect.shape == "parquet":
        return _parquet(written, dialect)
    text = _csv(written, dialect) if dialect.shape == "csv" else _json(written, dialect)
    return COMPRESSIONS[dialect.compression](text.encode(dialect.encoding))


def _csv(written, dialect):
    out = io.StringIO(newline="")
    if dialect.separator_line:
        out.write(f"sep={dialect.delimiter}{dialect.end}")
    # Python 3.11 quotes no carriage return in a cell, which at the end of a file is a line end.
    has_return = any("\r" in cell for row in written for cell in row.cells.values())
    quoting = csv.QUOTE_ALL if has_return else dialect.quoting
    writer = csv.writer(
        out, delimiter=dialect.delimiter, quoting=quoting, lineterminator=dialect.end
    )
    writer.writerow(dialect.names.get(column, column) for column in dialect.columns)
    for row in written:
        out.write(dialect.end * dialect.blank_lines)
        cells = [row.cells[column] for column in dialect.columns]
        cells += [""] * max(0, row.surplus)
        for _ in range(-row.surplus):
            # A missing cell of a column that matters rejects the row: only a note may be missing.
            if not cells[-1] and dialect.columns[len(cells) - 1] == "note":
                cells.pop()
        writer.writerow(cells)
    text = out.getvalue()
    return text if dialect.ends_with_a_line_end else text.removesuffix(dialect.end)


def _objects(written, dialect):
    for number, row in enumerate(written):
        cells = {dialect.names.get(column, column): row.cells[column] for column in dialect.columns}
        if number % 3:  # an empty cell may be null, or not there
            cells = {name: cell or None for name, cell in cells.items() if cell or number % 3 == 1}
        yield cells | {"unused": float("nan"), "nested": {"a": [1, {"b": "}"}]}}


def _json(written, dialect):
    plain = [json.dumps(row, ensure_ascii=dialect.ascii_only) for row in _objects(written, dialect)]
    pretty = [
        json.dumps(row, indent=2, ensure_ascii=dialect.ascii_only).replace("\n", dialect.end)
        for row in _objects(written, dialect)
    ]
    end = dialect.end
    text = {
        "lines": end.join(plain),
        "array": f"[{', '.join(plain)}]",
        "pretty array": f"[{end}{f',{end}'.join(pretty)}{end}]",
        "array of lines": f"[{end}{f',{end}'.join(plain)}{end}]",
        "pretty objects": end.join(pretty),
        "objects on one line": "".join(plain),
        "arrays": end.join(f"[{row}]" for row in plain),
    }[dialect.shape]
    return text + end * dialect.ends_with_a_line_end


def _parquet(written, dialect):
    columns = {
        dialect.names.get(column, column): pa.array(
            [row.cells[column] or None for row in written], pa.string()
        )
        for column in dialect.columns
    }
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out, row_group_size=3)
    return out.getvalue()
