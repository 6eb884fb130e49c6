"""The header of a file that was read before, as it stands there: for rows taken out of it."""

import re

from dispatcher.sources.batching import is_json_lines
from dispatcher.sources.files.byte_source import FileContent
from dispatcher.sources.options import Layout
from dispatcher.sources.rows.line_reader import LineReader

_SEPARATOR_LINE = re.compile(rb'"?sep=[^"\r\n]"?\r?', re.IGNORECASE)


def heading(path: str, layout: Layout) -> tuple[tuple[bytes, ...], str]:
    """Return the lines that stand before the rows of a file, and the file's fingerprint.

    There are no such lines where it is JSON Lines.

    Raises:
        SourceError: the file cannot be read.

    """
    with FileContent(path) as content:
        reader = LineReader(content.chunks(0, _go_on))
        if is_json_lines(content.name, layout, reader):
            return (), content.fingerprint
        lines: list[bytes] = []
        while (line := reader.take()) is not None:
            if line.strip(b" \r"):
                lines.append(line)
                if not _SEPARATOR_LINE.fullmatch(line):
                    break
        return tuple(lines), content.fingerprint


def _go_on() -> None:
    """Read on: nobody waits for what is read so far."""
