"""Refusals that are held until later answers show whether they are the contacts' own."""

from collections import deque
from typing import Generic, TypeVar

from dispatcher.domain.status import Step
from dispatcher.domain.suspicion import AnswerGroup, Local, RefusalKind, SuspicionDetector

JUDGED_EACH = 25
"""After how many answers of a step its refusals that are held are judged."""

T = TypeVar("T")


class HeldRefusals(Generic[T]):
    """What is refused and not final yet, by the group of its kind.

    ``waiting`` is how much that is.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._queues: dict[AnswerGroup, deque[tuple[T, RefusalKind, int]]] = {
            group: deque() for group in (Local.RULES, Step.CHECK, Step.NOTIFY, Step.OPEN)
        }

    def hold(self, item: T, kind: RefusalKind, detector: SuspicionDetector) -> None:
        """Hold an item whose refusal is the last answer that the detector has counted."""
        self._queues[kind.step].append((item, kind, detector.age(kind.step)))
        self.waiting += 1

    def take_judged(self, group: AnswerGroup, detector: SuspicionDetector) -> list[T]:
        """Take those whose refusals have turned out to be their own.

        They are judged after every `JUDGED_EACH` answers of the group.
        """
        if detector.age(group) % JUDGED_EACH:
            return []
        judged, kept = list[T](), deque[tuple[T, RefusalKind, int]]()
        for item, kind, age in self._queues[group]:
            if detector.is_judged(kind, age):
                judged.append(item)
            else:
                kept.append((item, kind, age))
        self._queues[group] = kept
        self.waiting -= len(judged)
        return judged

    def take_all(self) -> list[T]:
        """Take everything that is held."""
        items = [item for queue in self._queues.values() for item, _, _ in queue]
        for queue in self._queues.values():
            queue.clear()
        self.waiting = 0
        return items
