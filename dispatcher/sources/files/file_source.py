"""Files that exist when reading begins: one by its path, or many by a glob."""

from collections.abc import AsyncGenerator, Mapping

from dispatcher.domain.errors import list_mistakes
from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.batching import read_content
from dispatcher.sources.files.column_check import problems_of
from dispatcher.sources.files.file_set import FileSet
from dispatcher.sources.files.replaced_file import put_replaced
from dispatcher.sources.files.seekable_content import SeekableContent
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread


class FileSource:
    """Reads all files of a set that exist when reading begins, sorted by path.

    The columns of all files are checked before the first row of any is read. Each file is read from
    its known place; one that is done is skipped. A file that no longer exists when it is to be read
    was renamed: the files are listed again to find it.
    """

    def __init__(self, files: FileSet, rules: RowRules, layout: Layout | None = None) -> None:
        self._files = files
        self._rules = rules
        self._layout = layout or Layout()
        self.watched = False
        self.waits_for = ""
        self.lag = None

    def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows of all files from where each was left.

        Raises:
            SourceError: no file exists, a file cannot be read, or its header lacks a column.

        """
        return iterate_in_thread(lambda channel: self._read(known, channel), known)

    def column_problems(self, known: Mapping[str, Stream]) -> list[str]:
        """Return what is wrong with the columns of the files that are not read to their end.

        Raises:
            SourceError: no file exists.

        """
        return problems_of(self._files.paths(), self._files.open, known, self._rules, self._layout)

    def _read(self, known: Mapping[str, Stream], channel: BatchChannel) -> None:
        if problems := self.column_problems(known):
            raise SourceError(list_mistakes(problems) if len(problems) > 1 else problems[0])
        read: set[str] = set()
        complete = False
        while not complete:
            complete = True
            for path in self._files.paths():
                try:
                    content = self._files.open(path)
                except SourceError:
                    if not self._files.was_renamed(path):
                        raise
                    complete = False
                    continue
                with content:
                    if content.fingerprint not in read:
                        self._read_file(content, known, channel)
                    read.add(content.fingerprint)

    def _read_file(
        self, content: SeekableContent, known: Mapping[str, Stream], channel: BatchChannel
    ) -> None:
        start = known.get(content.fingerprint)
        if start is None:
            put_replaced(content, known, self._files.paths, self._files.open, channel)
        if start is None or not start.done:
            read_content(content, start, self._rules, self._layout, channel)
