"""Objects as a source: those that exist now, or those of a prefix that is watched."""

from collections.abc import AsyncGenerator, Mapping

from dispatcher.domain.contact import RejectedRow
from dispatcher.domain.errors import list_mistakes
from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.files.column_check import problems_of
from dispatcher.sources.files.rejecting_reader import WHY_UNREAD, RejectingReader
from dispatcher.sources.files.seekable_content import ChangedError
from dispatcher.sources.objects.object_files import ObjectFiles, ObjectVersion
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread

_TRIES = 3
"""Times that an object is read which is replaced again and again, before the next look."""


class ObjectSource:
    """Reads the objects of an address, sorted by their keys; each from its known place.

    With ``poll_seconds`` it looks for new objects for as long as it is iterated. An object is
    complete once it exists, so none is waited for. One that is replaced while it is read costs one
    rejected row, ``changed``, and the new one is read from its beginning. One that cannot be read,
    or whose columns are not as the settings need them, costs one rejected row and stops no other.
    """

    def __init__(
        self,
        files: ObjectFiles,
        rules: RowRules,
        layout: Layout | None = None,
        poll_seconds: float | None = None,
    ) -> None:
        self._files = files
        self._rules = rules
        self._layout = layout or Layout()
        self._poll_seconds = poll_seconds
        self._unread: dict[str, tuple[ObjectVersion, str]] = {}
        self.watched = poll_seconds is not None
        self.lag = None

    @property
    def waits_for(self) -> str:
        """Why the store, or an object, cannot be read now; empty if nothing is waited for."""
        unread = [f"{name} {why}" for name, (_, why) in sorted(self._unread.items())]
        return "; ".join(filter(None, [self._files.away.reason, *unread[:1]]))

    def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows of all objects from where each was left.

        Raises:
            SourceError: no object matches, the store refuses, or the columns of an object that is
                there at the start are not as the settings need them.

        """
        return iterate_in_thread(lambda channel: self._read(dict(known), channel), known)

    def column_problems(self, known: Mapping[str, Stream]) -> list[str]:
        """Return what is wrong with the columns of the objects that exist now.

        Raises:
            SourceError: the store is away or refuses, or no object matches.

        """
        try:
            paths = self._files.paths()
        except SourceError:
            if self.watched and not self._files.versions():
                return []
            raise
        return problems_of(paths, self._files.open, known, self._rules, self._layout)

    def _read(self, known: dict[str, Stream], channel: BatchChannel) -> None:
        self._files.away.begin(channel.wait)
        if problems := self.column_problems(known):
            raise SourceError(list_mistakes(problems) if len(problems) > 1 else problems[0])
        reader = RejectingReader(self._rules, self._layout, known, lambda: (), self._files.open)
        self._read_all(reader, channel)
        while self._poll_seconds is not None:
            channel.wait(self._poll_seconds)
            self._read_all(reader, channel)

    def _read_all(self, reader: RejectingReader, channel: BatchChannel) -> None:
        for _ in range(_TRIES):
            versions = sorted(self._files.versions(), key=lambda version: version.key)
            names = {self._files.name(version) for version in versions}
            self._unread = {name: one for name, one in self._unread.items() if name in names}
            if not [one for one in versions if self._has_changed(one, reader, channel)]:
                return

    def _has_changed(
        self, version: ObjectVersion, reader: RejectingReader, channel: BatchChannel
    ) -> bool:
        """Read a version, unless it cannot be read; return True if it was replaced meanwhile."""
        channel.check()
        name = self._files.name(version)
        if name in self._unread and self._unread[name][0] == version:
            return False
        try:
            with self._files.open_version(name, version) as content:
                why = reader.read(content, channel)
        except ChangedError as error:
            self._reject(name, "changed", str(error), channel)
            return True
        except SourceError as error:
            self._reject(name, "unreadable", str(error), channel)
            why = WHY_UNREAD["unreadable"]
        self._unread.pop(name, None)
        if why:
            self._unread[name] = (version, why)
        return False

    @staticmethod
    def _reject(name: str, reason: str, detail: str, channel: BatchChannel) -> None:
        channel.put(Batch((), (RejectedRow(name, 1, reason, detail, b""),)))
