"""Recognizes that most contacts are refused for one cause, which then is not their own.

A refusal becomes final only after `FIRST_ANSWERS` later answers have shown that most contacts are
not refused like it.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from itertools import islice

from dispatcher.domain.status import Step

FIRST_ANSWERS = 50
"""The answers at the beginning of which no kind of refusal may be the majority."""
WINDOW_ANSWERS = 200
"""The answers in a row of which no kind of refusal may be the majority."""
MIN_ALIKE = 3
"""Fewer refusals of one kind are no bulk, whatever their share is."""
MIN_ALIKE_OF_STEP = 10
"""The same for one of the two kinds of sends alone, while the other one is accepted."""
DECIDED = 0
"""The status of a refusal that the platform did not make: the state check's content led to it, or
a rule of the campaign."""


_KEY = re.compile(r"(rules|check|notify|open)/\d{1,3}/[0-9a-f]{8}")


class Local(StrEnum):
    """What refuses contacts without a call to the platform."""

    RULES = "rules"
    """The campaign's rules: expiry, suppression list, time zones."""


AnswerGroup = Step | Local
"""What answers are counted together: those of one step, or of the rules."""


def is_key(text: str) -> bool:
    """Return True if a text has the form of a kind's key."""
    return _KEY.fullmatch(text) is not None


def group_of(key: str) -> AnswerGroup:
    """Return the group of a kind's ``key``."""
    name = key.partition("/")[0]
    return Local.RULES if name == Local.RULES else Step(name)


_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]")
_WITH_DIGIT = re.compile(r"\S*\d\S*")
_WORDS_LIMIT = 200
_NOT_FOUND = 404
_ID_LENGTH = 3
"""A shorter id may be part of a word."""


@dataclass(frozen=True, slots=True)
class RefusalKind:
    """What refusals have in common that have one cause.

    ``status`` is the HTTP status, or `DECIDED`. ``words`` are the platform's without ids, or the
    reason of a decision; a 404 on a state check has none.
    """

    step: AnswerGroup
    status: int
    words: str = ""

    @property
    def key(self) -> str:
        """A short name of the kind that is the same in every run; it begins with the step."""
        digest = sha256(self.words.encode(errors="surrogatepass")).hexdigest()[:8]
        return f"{self.step}/{self.status}/{digest}"

    def __str__(self) -> str:
        answer = f"{self.step} answered with {self.status}" if self.status else str(self.step)
        return f"{answer}: {self.words}" if self.words else answer

    @property
    def is_send(self) -> bool:
        """Whether a send is refused."""
        return is_send(self.step)


def is_send(group: AnswerGroup) -> bool:
    """Return True for the answers to a step that sends a message."""
    return isinstance(group, Step) and group.is_send


def is_alike(one: AnswerGroup, other: AnswerGroup) -> bool:
    """Return True if an answer of one group says something about a suspicion of the other."""
    if one is Local.RULES or other is Local.RULES:
        return one is other
    return is_send(one) is is_send(other)


def refusal_kind(
    step: Step, status: int, words: str, ids: Iterable[str | None] = ()
) -> RefusalKind:
    """Return the kind of a refusal; ``ids`` are those of the contact, which the words may have."""
    if step is Step.CHECK and status == _NOT_FOUND:
        return RefusalKind(step, status)
    for id_ in ids:
        if id_ and len(id_) >= _ID_LENGTH:
            words = words.replace(id_, "#")
    words = _WITH_DIGIT.sub("#", _QUOTED.sub("#", words))
    return RefusalKind(step, status, " ".join(words.lower().split())[:_WORDS_LIMIT])


class _Window:
    """The last answers of one group; None is an answer that is no refusal."""

    def __init__(self, min_alike: int) -> None:
        self.min_alike = min_alike
        self.answers = 0
        self.is_clean = False
        """Whether it is full, and has no refusal."""
        self._last: deque[RefusalKind | None] = deque(maxlen=WINDOW_ANSWERS)
        self._counts: Counter[RefusalKind] = Counter()

    @property
    def leading(self) -> int:
        """The number of refusals of the most frequent kind."""
        return max(self._counts.values(), default=0) if self._counts else 0

    @property
    def limit(self) -> int:
        """How many refusals of one kind are suspicious."""
        return (FIRST_ANSWERS if self.answers <= FIRST_ANSWERS else WINDOW_ANSWERS) // 2 + 1

    def add(self, kind: RefusalKind | None) -> bool:
        """Add an answer; return True if its kind is suspicious now."""
        if len(self._last) == WINDOW_ANSWERS:
            self._remove(self._last[0])
        self._last.append(kind)
        self.answers += 1
        if kind is None:
            self.is_clean = not self._counts and len(self._last) == WINDOW_ANSWERS
            return False
        self.is_clean = False
        self._counts[kind] += 1
        return self._counts[kind] >= self.limit

    def count(self, kind: RefusalKind, last: int) -> int:
        """Return how many of so many last answers are of a kind; at most those of the window."""
        return sum(one == kind for one in islice(reversed(self._last), last))

    def majority(self) -> RefusalKind | None:
        """Return the kind of most of the answers, if it is a bulk; None if there is none."""
        for kind, count in self._counts.items():
            if count >= self.min_alike and 2 * count > len(self._last):
                return kind
        return None

    def _remove(self, kind: RefusalKind | None) -> None:
        if kind is None:
            return
        self._counts[kind] -= 1
        if not self._counts[kind]:
            del self._counts[kind]


class SuspicionDetector:
    """Counts accepted answers and refusals, and finds the kind that is suspicious.

    Rules, state checks, notifies and opens have windows of their own, and both sends have one
    together: what only opens are refused for must not hide behind notifies that are accepted.
    """

    def __init__(self) -> None:
        self._sends = _Window(MIN_ALIKE)
        self._windows: dict[AnswerGroup, _Window] = {
            Local.RULES: _Window(MIN_ALIKE),
            Step.CHECK: _Window(MIN_ALIKE),
            Step.NOTIFY: _Window(MIN_ALIKE_OF_STEP),
            Step.OPEN: _Window(MIN_ALIKE_OF_STEP),
        }
        self._groups = {
            step: (window, self._sends) if is_send(step) else (window,)
            for step, window in self._windows.items()
        }
        self._known_room: int | None = None

    def accept(self, step: AnswerGroup) -> None:
        """Count an answer that is no refusal."""
        for window in self._groups[step]:
            if window.is_clean:
                window.answers += 1  # one more beside 200 that are accepted: the rest stays true
            else:
                self._known_room = None
                window.add(None)

    def refuse(self, kind: RefusalKind) -> bool:
        """Count a refusal; return True if its kind is suspicious now."""
        self._known_room = None
        suspicious = self._windows[kind.step].add(kind)
        if kind.is_send:
            suspicious = self._sends.add(kind) or suspicious
        return suspicious

    @property
    def begun(self) -> bool:
        """Whether some step has a whole window of answers."""
        return any(window.answers >= WINDOW_ANSWERS for window in self._windows.values())

    def age(self, step: AnswerGroup) -> int:
        """Return the number of answers of ``step`` so far."""
        return self._windows[step].answers

    def is_judged(self, kind: RefusalKind, age: int) -> bool:
        """Return True if a refusal, the ``age``-th answer of its step, is the contact's own.

        So it is if most of the later answers are others, or if no window has it any more.
        """
        window = self._windows[kind.step]
        later = window.answers - age
        if later >= WINDOW_ANSWERS:
            return True
        if later < FIRST_ANSWERS:
            return False
        return 2 * window.count(kind, later) <= later

    def majority(self) -> RefusalKind | None:
        """Return the kind that is suspicious if no more answers come; None if none is."""
        windows = (self._sends, *self._windows.values())
        return next((kind for window in windows if (kind := window.majority())), None)

    def room(self) -> int:
        """Return how many contacts may be in flight, so that no kind exceeds its limit.

        Were all of them refused alike, the last one would make the kind suspicious.
        """
        if self._known_room is None:
            self._known_room = self._room()
        return self._known_room

    def _room(self) -> int:
        windows = (self._sends, *self._windows.values())
        begun = any(window.answers >= FIRST_ANSWERS for window in windows)
        return max(1, min(_room_of(window, begun=begun) for window in windows))


def _room_of(window: _Window, *, begun: bool) -> int:
    """Return a window's room; a step that is rare must not slow the others down."""
    leading = window.leading
    if begun and not leading and window.answers < FIRST_ANSWERS:
        return FIRST_ANSWERS
    return window.limit - leading
