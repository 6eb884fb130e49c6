"""A file that was read in part and then replaced by another one under the same name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from dispatcher.domain.contact import RejectedRow
from dispatcher.ports import Batch, Position, SourceError
from dispatcher.sources.files.byte_source import FileContent, printable_path
from dispatcher.sources.thread_bridge import BatchChannel

BEFORE = " (before it changed)"
"""Suffix of the file's name in a position that belongs to the replaced content."""


def put_replaced(
    content: FileContent,
    known: Mapping[str, Position],
    paths: Callable[[], Iterable[str]],
    channel: BatchChannel,
) -> Position | None:
    """If another content of this name was read in part, send one rejected row, ``changed``.

    ``paths`` returns the files of the source. Nothing is sent if one of them has the replaced
    content: it was only renamed, and is read on under its new name. The row is sent with a
    position of the new content, so that it is reported once.

    Return the old position as it is kept from now on, in case its content comes back; None if no
    content was replaced.
    """
    unfinished = (at for at in known.values() if at.file == content.name and not at.done)
    before = next(unfinished, None)
    if before is None:
        return None
    others = (path for path in paths() if printable_path(path) != content.name)
    if any(_has(path, before.fingerprint) for path in others):
        return before
    detail = (
        f"the file was read up to line {before.line} and then replaced: the new file is read from "
        "its beginning, and rows that are known are duplicates; the old file's rows after that "
        "line are not read unless the new file has them"
    )
    row = RejectedRow(content.name, before.line, "changed", detail, b"")
    start = Position(content.name, content.fingerprint, offset=0, line=0, done=False)
    channel.put(Batch((), (row,), position=start))
    kept = replace(before, file=before.file + BEFORE)
    channel.put(Batch((), position=kept))
    return kept


def _has(path: str, fingerprint: str) -> bool:
    try:
        with FileContent(path) as content:
            return content.fingerprint == fingerprint
    except SourceError:
        return False
