"""Which format a content has, and which delimiter is set for it."""

from pathlib import PurePath

from dispatcher.sources.options import Layout
from dispatcher.sources.rows.line_reader import LineReader

_CSV_SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
JSON_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})


def is_json_lines(name: str, layout: Layout, reader: LineReader) -> bool:
    """Return True if a content is JSON Lines, False if it is CSV; no line is taken."""
    if layout.format != "auto":
        return layout.format == "jsonl"
    suffix = _suffix(name)
    if suffix in _CSV_SUFFIXES | JSON_LINES_SUFFIXES:
        return suffix in JSON_LINES_SUFFIXES
    return (reader.peek(0) or b"").lstrip().startswith(b"{")


def csv_delimiter(name: str, layout: Layout) -> bytes | None:
    """Return the delimiter that the layout or the file's extension sets; None if neither does."""
    if layout.delimiter != "auto":
        return layout.delimiter.encode()
    return b"\t" if _suffix(name) == ".tsv" else None


def _suffix(name: str) -> str:
    """Return the extension of a file's name, without .gz or .zst."""
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix in {".gz", ".zst"} else path.suffix
