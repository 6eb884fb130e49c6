"""The place in a file: an offset and a line, as the text that a stream has in the ledger."""

from typing import NamedTuple

from dispatcher.ports import Stream


class FilePlace(NamedTuple):
    """How far a content was read: ``offset`` in bytes of its text, ``line`` in lines."""

    offset: int
    line: int

    @classmethod
    def of(cls, stream: Stream) -> "FilePlace":
        """Return the place that a stream of `to_stream` has."""
        offset, line = stream.at.split()
        return cls(int(offset), int(line))

    def to_stream(self, name: str, fingerprint: str, *, done: bool) -> Stream:
        """Return the stream of a content that was read up to here."""
        return Stream(name, fingerprint, f"{self.offset} {self.line}", self.line, done=done)


BEGINNING = FilePlace(0, 0)
