"""Reads a file among others: what is wrong with it becomes a rejected row and stops no other."""

from collections.abc import Callable, Iterable

from dispatcher.domain.contact import RejectedRow
from dispatcher.ports import Batch, Stream
from dispatcher.sources.batching import read_content
from dispatcher.sources.files.file_place import BEGINNING
from dispatcher.sources.files.replaced_file import put_replaced
from dispatcher.sources.files.seekable_content import SeekableContent
from dispatcher.sources.files.signatures import MissingPackageError, UnreadableFormatError
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.thread_bridge import BatchChannel

WHY_UNREAD = {
    "changed": "changed while it was read",
    "unreadable": "cannot be read",
    "header": "does not have the columns that the settings need",
    "package": "needs a package that is not installed",
}
"""Why a file is not read now, and is read when that is over."""


class RejectingReader:
    """Reads files one by one, each from where it was left; ``known`` is kept up to date.

    ``paths`` and ``open_file`` find and open the other files, of which one may be a file that
    was renamed.
    """

    def __init__(
        self,
        rules: RowRules,
        layout: Layout,
        known: dict[str, Stream],
        paths: Callable[[], Iterable[str]],
        open_file: Callable[[str], SeekableContent],
    ) -> None:
        self._rules = rules
        self._layout = layout
        self._known = known
        self._paths = paths
        self._open_file = open_file

    def is_done(self, fingerprint: str) -> bool:
        """Return True if a content was read to its end."""
        start = self._known.get(fingerprint)
        return start is not None and start.done

    def read(self, content: SeekableContent, channel: BatchChannel) -> str:
        """Read one file, unless it is done; mark it as done. Return why it cannot be read, or "".

        What the settings or the installation may have caused is not done: it would be the same for
        all files, and nobody would be written to once it is mended.

        Raises:
            SourceError: it cannot be read.
            ChangedError: it has changed while it was read.

        """
        if self.is_done(content.fingerprint):
            return ""
        known, start = self._known, self._known.get(content.fingerprint)
        if start is None:
            replaced = put_replaced(content, known, self._paths, self._open_file, channel)
            if replaced is not None:
                known[replaced.fingerprint] = replaced
        end = BEGINNING.to_stream(content.name, content.fingerprint, done=True)
        try:
            read_content(content, start, self._rules, self._layout, channel)
        except ColumnsError as error:
            detail = f"{error.detail}. Then restart, or write the file again: it is not done"
            row = RejectedRow(content.name, error.line, "header", detail, error.raw)
            channel.put(Batch((), (row,)))
            return WHY_UNREAD["header"]
        except MissingPackageError as error:
            detail = f"{error.detail}. Then restart: the file is not done"
            row = RejectedRow(content.name, 1, "format", detail, b"")
            channel.put(Batch((), (row,)))
            return WHY_UNREAD["package"]
        except UnreadableFormatError as error:
            row = RejectedRow(content.name, 1, "format", error.detail, b"")
            channel.put(Batch((), (row,), stream=end))
        known[content.fingerprint] = end
        return ""
