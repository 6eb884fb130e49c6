"""The partitions that are read: the place of each, and what of it was lost."""

from dataclasses import dataclass

from dispatcher.domain.contact import RejectedRow
from dispatcher.ports import Stream


def fingerprint_of(cluster: str, topic: str, generation: str, partition: int | str) -> str:
    """Return what identifies a partition's content; a topic that was created again has the same.

    ``generation`` is a word of the user's that makes it another one.
    """
    return "/".join(("kafka", cluster, topic, generation, str(partition)))


@dataclass(slots=True)
class Partition:
    """How far one partition was read; all places are offsets.

    ``next`` is read next. ``before`` is the place that the ledger has once all batches are
    admitted, None if it does not have the stream. ``admitted`` is the place of the last batch that
    was. ``end`` is behind the last message that is known, ``target`` where reading ends if it
    does, None before that is known.
    """

    name: str
    fingerprint: str
    next: int
    rows: int = 0
    before: str | None = None
    admitted: int = 0
    end: int = 0
    target: int | None = None

    @classmethod
    def of(cls, name: str, fingerprint: str, known: Stream | None, start: int) -> "Partition":
        """Return a partition at its known place, or else at ``start``."""
        if known is None:
            return cls(name, fingerprint, start, admitted=start)
        place = int(known.at)
        return cls(name, fingerprint, place, known.rows, known.at, place)

    @property
    def lag(self) -> int:
        """How many messages are known that the ledger does not have; control records count."""
        is_complete = self.before is None or self.admitted == int(self.before)
        place = self.next if is_complete else self.admitted
        return max(0, self.end - place)

    @property
    def is_at_target(self) -> bool:
        """Whether it was read as far as it was to be read."""
        return self.target is not None and self.next >= self.target

    @property
    def is_behind_end(self) -> bool:
        """Whether its place is behind the end that a fetch has shown."""
        return self.target is not None and self.next > self.end

    def move(self, offset: int, rows: int) -> tuple[Stream, str | None]:
        """Advance to ``offset``; return the stream there, and the place before it."""
        before = self.before
        self.next, self.rows, self.before = offset, self.rows + rows, str(offset)
        return Stream(self.name, self.fingerprint, str(offset), self.rows, done=False), before

    def lost(self, begin: int, end: int | None) -> RejectedRow | None:
        """Return which messages were lost, if the place is not within ``begin`` and ``end``.

        ``end`` is None if it cannot be before the place.
        """
        place = self.next
        if place < begin:
            what = (
                f"the messages with the offsets {place} to {begin - 1} were deleted before they "
                "were read; the retention of the topic may be too short"
            )
        elif end is not None and place > end:
            what = (
                f"it ends at offset {end}, and was read up to {place}: the topic was deleted and "
                "created again, or brokers lost messages; what was not read before is lost"
            )
        else:
            return None
        detail = f"{what}. Reading continues at offset {begin}, the first that exists"
        return RejectedRow(self.name, place, "lost", detail, b"")
