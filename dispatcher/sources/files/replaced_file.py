"""A file that was read in part and then replaced by another one under the same name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from dispatcher.domain.contact import RejectedRow
from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.files.byte_source import printable_path
from dispatcher.sources.files.file_place import BEGINNING
from dispatcher.sources.files.seekable_content import SeekableContent
from dispatcher.sources.thread_bridge import BatchChannel

BEFORE = " (before it changed)"
"""Suffix of the name of a stream that belongs to the replaced content."""


def put_replaced(
    content: SeekableContent,
    known: Mapping[str, Stream],
    paths: Callable[[], Iterable[str]],
    open_file: Callable[[str], SeekableContent],
    channel: BatchChannel,
) -> Stream | None:
    """If another content of this name was read in part, send one rejected row, ``changed``.

    ``paths`` returns the files of the source, ``open_file`` opens one. Nothing is sent if one of
    them has the replaced content: it was only renamed, and is read on under its new name. The row
    is sent with the beginning of the new content, so that it is reported once.

    Return the old stream as it is kept from now on, in case its content comes back; None if no
    content was replaced.
    """
    unfinished = (at for at in known.values() if at.name == content.name and not at.done)
    before = next(unfinished, None)
    if before is None:
        return None
    others = (path for path in paths() if printable_path(path) != content.name)
    if any(_has(open_file, path, before.fingerprint) for path in others):
        return before
    detail = (
        f"the file was read up to line {before.rows} and then replaced: the new file is read from "
        "its beginning, and rows that are known are duplicates; the old file's rows after that "
        "line are not read unless the new file has them"
    )
    row = RejectedRow(content.name, before.rows, "changed", detail, b"")
    start = BEGINNING.to_stream(content.name, content.fingerprint, done=False)
    channel.put(Batch((), (row,), stream=start))
    kept = replace(before, name=before.name + BEFORE)
    channel.put(Batch((), stream=kept))
    return kept


def _has(open_file: Callable[[str], SeekableContent], path: str, fingerprint: str) -> bool:
    try:
        with open_file(path) as content:
            return content.fingerprint == fingerprint
    except SourceError:
        return False
