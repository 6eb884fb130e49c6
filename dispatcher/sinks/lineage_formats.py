"""Writes lineage rows as CSV, JSON Lines or Parquet.

Other programs load the files: the columns keep their names, order and meaning, which
docs/lineage.md describes. A new column may be added at the end.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, BinaryIO, Literal

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.ports.questions import BEGINNING, Page
from dispatcher.ports.stored_rows import LineageRow

ExportFormat = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[ExportFormat, ...] = ("csv", "jsonl", "parquet")

BLOCK_ROWS = 5000
"""Rows that are written at a time; a page may exceed it."""

TIMES = ("state_at", "sent_at", "settled_at", "verified_at")
NUMBERS = ("attempts", "sends")
COLUMNS = (
    "campaign", "contact_key", "previous_conversation_id", "conversation_id", "relation", "reason",
    "external_contact_id", "state_seen", "state_at", "sent_at", "settled_at", "attempts", "sends",
    "message_id", "correlation_id", "verified", "verified_at", "attributes",
)  # fmt: skip


class FormatError(DispatcherError):
    """The format cannot be written here; the message says what to install."""

    exit_code = ExitCode.USAGE


@dataclass(slots=True)
class Written:
    """Result of an export; ``cursor`` is after the last row, where the next one begins."""

    cursor: str
    rows: int = 0


def check_format(format_: ExportFormat) -> None:
    """Check that a format can be written.

    Raises:
        FormatError: the package that writes Parquet is not installed.

    """
    if format_ == "parquet" and find_spec("pyarrow") is None:
        raise FormatError(
            "Parquet needs the package pyarrow: install it with pip install 'dispatcher[parquet]', "
            "or use --format csv or jsonl"
        )


def write(format_: ExportFormat, pages: Iterable[Page[LineageRow]], out: BinaryIO) -> Written:
    """Write the rows of ``pages`` to ``out``, one block at a time.

    Return their number, and the cursor of the last page.
    """
    written = Written(BEGINNING)
    writers: dict[ExportFormat, Callable[[Iterator[list[LineageRow]], BinaryIO], None]] = {
        "csv": _write_csv,
        "jsonl": _write_jsonl,
        "parquet": _write_parquet,
    }
    writers[format_](_blocks(pages, written), out)
    return written


def write_rows(format_: ExportFormat, rows: Sequence[LineageRow], out: BinaryIO) -> None:
    """Write ``rows`` to ``out``."""
    write(format_, [Page(rows, BEGINNING, more=False)], out)


def _blocks(pages: Iterable[Page[LineageRow]], written: Written) -> Iterator[list[LineageRow]]:
    block: list[LineageRow] = []
    for page in pages:
        block += page.rows
        written.rows += len(page.rows)
        written.cursor = page.cursor
        if len(block) >= BLOCK_ROWS:
            yield block
            block = []
    if block:
        yield block


def _write_csv(blocks: Iterator[list[LineageRow]], out: BinaryIO) -> None:
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for block in blocks:
        writer.writerows([_cell(name, row) for name in COLUMNS] for row in block)
    text.detach()


def _write_jsonl(blocks: Iterator[list[LineageRow]], out: BinaryIO) -> None:
    for block in blocks:
        lines = (
            json.dumps(_object(row), ensure_ascii=False, separators=(",", ":")) for row in block
        )
        out.write("".join(f"{line}\n" for line in lines).encode())


def _write_parquet(blocks: Iterator[list[LineageRow]], out: BinaryIO) -> None:
    from pyarrow import parquet  # noqa: PLC0415 - an optional extra

    schema = lineage_table(()).schema
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_table(lineage_table(block))


def lineage_table(rows: Sequence[LineageRow]) -> Any:
    """Return rows as a table of Arrow, with the columns of an export."""
    import pyarrow as pa  # noqa: PLC0415 - an optional extra

    schema = pa.schema([(name, _arrow_type(pa, name)) for name in COLUMNS])
    columns = [[column_value(name, row) for row in rows] for name in COLUMNS]
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _arrow_type(pa: Any, name: str) -> Any:
    if name in TIMES:
        return pa.timestamp("us", tz="UTC")
    return pa.int64() if name in NUMBERS else pa.string()


def column_value(name: str, row: LineageRow) -> Any:
    """Return a column's value: a time is a datetime in UTC, attributes are a JSON text."""
    value = getattr(row, name)
    if name == "attributes":
        return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"))
    if name in TIMES and value is not None:
        return datetime.fromtimestamp(value, UTC)
    return value


def _cell(name: str, row: LineageRow) -> Any:
    """Return a column's value for CSV: times are ISO 8601, all of one length."""
    value = column_value(name, row)
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value


def _object(row: LineageRow) -> dict[str, Any]:
    """Return a row for JSON Lines: attributes are an object."""
    return {
        name: dict(row.attributes) if name == "attributes" else _cell(name, row) for name in COLUMNS
    }
