"""Refusals that are held until later answers show whether they are the contacts' own."""

from collections import deque
from typing import Generic, TypeVar

from dispatcher.domain.status import Step
from dispatcher.domain.suspicion import Local, RefusalKind, Stream, SuspicionDetector

JUDGED_EACH = 25
"""After how many answers of a step its refusals that are held are judged."""

T = TypeVar("T")


class HeldRefusals(Generic[T]):
    """What is refused and not final yet, by the stream of its kind.

    ``waiting`` is how much that is.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._queues: dict[Stream, deque[tuple[T, RefusalKind, int]]] = {
            stream: deque() for stream in (Local.RULES, Step.CHECK, Step.NOTIFY, Step.OPEN)
        }

    def hold(self, item: T, kind: RefusalKind, detector: SuspicionDetector) -> None:
        """Hold an item whose refusal is the last answer that the detector has counted."""
        self._queues[kind.step].append((item, kind, detector.age(kind.step)))
        self.waiting += 1

    def take_judged(self, stream: Stream, detector: SuspicionDetector) -> list[T]:
        """Take those whose refusals have turned out to be their own.

        They are judged after every `JUDGED_EACH` answers of the stream.
        """
        if detector.age(stream) % JUDGED_EACH:
            return []
        judged, kept = list[T](), deque[tuple[T, RefusalKind, int]]()
        for item, kind, age in self._queues[stream]:
            if detector.is_judged(kind, age):
                judged.append(item)
            else:
                kept.append((item, kind, age))
        self._queues[stream] = kept
        self.waiting -= len(judged)
        return judged

    def take_all(self) -> list[T]:
        """Take everything that is held."""
        items = [item for queue in self._queues.values() for item, _, _ in queue]
        for queue in self._queues.values():
            queue.clear()
        self.waiting = 0
        return items
