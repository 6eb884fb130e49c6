"""Standard input and named pipes: read once, from beginning to end."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack

from dispatcher.ports import Batch, Stream
from dispatcher.sources.batching import read_content
from dispatcher.sources.files.byte_source import PipeContent, source_errors
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread


class StreamSource:
    """Reads a stream, compressed or not. Duplicates are found by key alone: it has no place.

    ``path`` is "-" for ``descriptor`` (standard input is 0), else a named pipe or a device.
    Rows of a slow stream are yielded after about 0.2 seconds at most.
    """

    def __init__(
        self, path: str, rules: RowRules, layout: Layout | None = None, *, descriptor: int = 0
    ) -> None:
        self._path = path
        self._rules = rules
        self._layout = layout or Layout()
        self._descriptor = descriptor
        self.watched = False
        self.waits_for = ""
        self.lag = None

    def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows as they arrive; the ledger has no place of a stream that is read once.

        Raises:
            SourceError: the stream cannot be read, or its header lacks a column.

        """
        return iterate_in_thread(self._read, known)

    def _read(self, channel: BatchChannel) -> None:
        descriptor = self._descriptor
        with ExitStack() as stack:
            if self._path != "-":
                with source_errors(self._path):
                    descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
                stack.callback(os.close, descriptor)
            content = PipeContent(self._path, descriptor)
            read_content(content, None, self._rules, self._layout, channel)
