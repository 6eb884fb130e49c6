"""Which shape the text of a content has, by its first lines, and which delimiter is set for it."""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Literal

from dispatcher.sources.files.decompression import peeked
from dispatcher.sources.options import Layout
from dispatcher.sources.rows.json_document import ValueScanner
from dispatcher.sources.rows.line_reader import LINE_LIMIT

Shape = Literal["csv", "json_lines", "json_array", "json_objects"]

JSON_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
_COMPRESSED_SUFFIXES = {
    ".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip",
}  # fmt: skip

_FIRST_BYTE = re.compile(rb"(?:[ \t\r\n\x1e]|\xef\xbb\xbf)*+([^ \t\r\n\x1e])").match
_LINE_END = re.compile(rb"[\r\n]").search
_JSON_OBJECT = re.compile(rb'\{\s*(?:["}]|\Z)').match
_JSON_ARRAY = re.compile(rb'\[\s*(?:[\[{"\]0-9-]|\Z)').match
_SEPARATOR_LINE = re.compile(rb'"?sep=', re.IGNORECASE).match
_ENOUGH_OF_AN_ARRAY = 16
"""Bytes after which an array needs no line end to be recognised."""
_NOT_IN_NAMES = re.compile(rb"[^a-z0-9]")


def shape_of(
    chunks: Iterator[bytes], name: str, layout: Layout, id_column: str = "conversation_id"
) -> tuple[Shape, Iterator[bytes]]:
    """Return a content's shape, and all chunks again.

    The first lines decide. The name decides only if they show neither JSON nor a header with
    ``id_column``. As much is read as is needed: the first two lines at most.
    """
    head, chunks = peeked(chunks, _shows_shape)
    begin = _FIRST_BYTE(head)
    text = head[begin.start(1) :] if begin else b""
    shape = _shape(text, name, layout, id_column)
    has_separator = begin is not None and b"\x1e" in head[: begin.start(1)]
    return "json_objects" if has_separator and shape == "json_lines" else shape, chunks


def csv_delimiter(name: str, layout: Layout) -> bytes | None:
    """Return the delimiter that the layout or the file's extension sets; None if neither does."""
    if layout.delimiter != "auto":
        return layout.delimiter.encode()
    return b"\t" if _suffix(name) == ".tsv" else None


def named_compression(name: str) -> str:
    """Return the compression that a file's name says it has; empty if it says none."""
    return _COMPRESSED_SUFFIXES.get(PurePath(name.lower()).suffix, "")


def _shows_shape(head: bytearray) -> bool:
    """Return True if the first line that is not blank, and the one after an open ``{``, began."""
    begin = _FIRST_BYTE(head)
    if begin is None or len(head) > LINE_LIMIT:
        return len(head) > LINE_LIMIT
    end = _LINE_END(head, begin.start(1))
    if end is None:
        return begin.group(1) == b"[" and len(head) - begin.start(1) > _ENOUGH_OF_AN_ARRAY
    line = head[begin.start(1) : end.start()]
    is_open = line.startswith(b"{") and not ValueScanner(b"{").scan(bytes(line), 0)[1]
    return not is_open or _FIRST_BYTE(head, end.end()) is not None


def _shape(text: bytes, name: str, layout: Layout, id_column: str) -> Shape:
    if layout.format == "csv":
        return "csv"
    is_forced = layout.format == "jsonl"
    has_suffix = _suffix(name) in JSON_LINES_SUFFIXES
    if text.startswith(b"{") and (is_forced or has_suffix or _JSON_OBJECT(text)):
        return _shape_of_objects(text)
    if text.startswith(b"[") and (is_forced or has_suffix or _JSON_ARRAY(text)):
        return "json_array"
    first_line = (text.splitlines() or [b""])[0]
    is_header = _SEPARATOR_LINE(first_line) or _has(id_column, first_line)
    return "json_lines" if is_forced or (has_suffix and not is_header) else "csv"


def _shape_of_objects(text: bytes) -> Shape:
    """Return "json_lines" for one object a line, "json_objects" for any other layout."""
    line, _, others = text.replace(b"\r", b"\n").partition(b"\n")
    end, is_complete = ValueScanner(b"{").scan(line, 0)
    if is_complete:
        return "json_objects" if line[end:].lstrip().startswith((b"{", b",")) else "json_lines"
    return "json_lines" if others.lstrip(b"\n").startswith(b"{") else "json_objects"


def _has(column: str, line: bytes) -> bool:
    """Return True if a line contains a column's name, in any case and without separators."""
    return _plain(column.encode()) in _plain(line)


def _plain(text: bytes) -> bytes:
    return _NOT_IN_NAMES.sub(b"", text.lower())


def _suffix(name: str) -> str:
    """Return the extension of a file's name, without that of a compression."""
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix in _COMPRESSED_SUFFIXES else path.suffix
