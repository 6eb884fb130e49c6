"""A file that was read in part, and is another one now: named, and its position set aside."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dispatcher.domain.contact import RejectedRow
from dispatcher.ports import Batch, Position, SourceError
from dispatcher.sources.files.byte_source import FileContent
from dispatcher.sources.thread_bridge import BatchChannel

BEFORE = " (before it changed)"
"""Behind the name of a file in a position that is of its content until it changed."""


def replaced_position(content: FileContent, known: Mapping[str, Position]) -> Position | None:
    """Return where reading stood under the name of ``content``, if that was another content."""
    unfinished = (at for at in known.values() if at.file == content.name and not at.done)
    return next(unfinished, None)


def put_replaced(
    content: FileContent, before: Position, others: Iterable[str], outlet: BatchChannel
) -> Position:
    """Put out one rejected row, ``changed``, that names what is not read any more.

    Return the old position as it is kept from now on. Nothing is put out if one of ``others``
    has that content now: it was only renamed, and goes on there. The row leaves together with
    a position of the new content, so that it is told once; the old position stays, in case that
    content comes back.
    """
    if any(_has(path, before.fingerprint) for path in others):
        return before
    detail = (
        f"the file was read up to line {before.line} and is another one since: it is read from "
        "its beginning, and rows that are known are duplicates; what stood behind that line "
        "before is not read unless it is in the new file"
    )
    row = RejectedRow(content.name, before.line, "changed", detail, b"")
    outlet.put(Batch((), (row,), 0, Position(content.name, content.fingerprint, 0, 0, done=False)))
    aside = replace(before, file=before.file + BEFORE)
    outlet.put(Batch((), position=aside))
    return aside


def _has(path: str, fingerprint: str) -> bool:
    try:
        with FileContent(path) as content:
            return content.fingerprint == fingerprint
    except SourceError:
        return False
