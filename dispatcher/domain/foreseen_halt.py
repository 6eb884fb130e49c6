"""Foresees the halt of a run whose contacts are refused alike, by the rule of the run itself."""

from collections import Counter
from dataclasses import dataclass

from dispatcher.domain.held_refusals import HeldRefusals
from dispatcher.domain.suspicion import (
    AnswerGroup,
    RefusalKind,
    SuspicionDetector,
    group_of,
    is_alike,
)


@dataclass(frozen=True, slots=True)
class ForeseenHalt:
    """Why a run would halt.

    ``alike`` of ``answers`` are refused in this way: of the state checks that were made, or of all
    contacts if a rule refuses them. ``after`` is the number of answers after which it would halt;
    None if only the end of the source would show it.
    """

    kind: RefusalKind
    alike: int
    answers: int
    after: int | None

    @property
    def share(self) -> float:
        """The share of those that are refused in this way, from 0 to 1."""
        return self.alike / self.answers


class HaltForecast:
    """Takes the answers that a run would get, in its order, and says whether it would halt.

    Answers to sends are not foreseen.
    """

    def __init__(self) -> None:
        self._detector = SuspicionDetector()
        self._held = HeldRefusals[RefusalKind]()
        self._answers: Counter[AnswerGroup] = Counter()
        self._alike: Counter[RefusalKind] = Counter()
        self._found: tuple[RefusalKind, int] | None = None
        self._recalled: dict[str, AnswerGroup] = {}
        self._cleared = False

    def recall(self, key: str) -> None:
        """Note the kind of refusal for which an earlier run put a contact back.

        A run takes such a contact first, and halts at once if it is refused so again.
        """
        if not self._cleared:
            self._recalled[key] = group_of(key)

    def accept(self, group: AnswerGroup) -> None:
        """Count an answer that is no refusal."""
        self._answers[group] += 1
        if self._found is not None:
            return
        self._detector.accept(group)
        if any(is_alike(group, one) for one in self._recalled.values()):
            self._recalled.clear()
            self._cleared = True
        if self._held.waiting:
            self._held.take_judged(group, self._detector)

    def refuse(self, kind: RefusalKind) -> None:
        """Count a refusal."""
        self._answers[kind.step] += 1
        self._alike[kind] += 1
        if self._found is not None:
            return
        if self._detector.refuse(kind) or kind.key in self._recalled:
            self._found = kind, self._answers[kind.step]
            return
        self._held.hold(kind, kind, self._detector)
        self._held.take_judged(kind.step, self._detector)

    def halt(self) -> ForeseenHalt | None:
        """Return the halt if no more answers come; None if the run would not halt."""
        if self._found is not None:
            return self._foreseen(*self._found)
        kind = self._detector.majority() if self._held.waiting else None
        return None if kind is None else self._foreseen(kind, None)

    def _foreseen(self, kind: RefusalKind, after: int | None) -> ForeseenHalt:
        return ForeseenHalt(kind, self._alike[kind], self._answers[kind.step], after)
