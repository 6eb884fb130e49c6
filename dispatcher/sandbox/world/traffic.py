"""What happens without the client: guests who answer, and conversations of other people."""

from collections.abc import Iterator, Sequence
from math import ceil, floor
from typing import NamedTuple

from dispatcher.sandbox.scenario.model import TrafficRules
from dispatcher.sandbox.world.message_archive import ArchivedMessage, MessageArchive
from dispatcher.sandbox.world.random import fraction

MOST_ANSWERS = 100
"""The most answers in one conversation."""
OTHERS_LAST_SECONDS = 1.0
"""How long a conversation of other people lasts."""


class GuestAnswer(NamedTuple):
    """A message of a guest; ``time`` and ``visible`` in seconds since the epoch."""

    message_id: str
    time: float
    visible: float


class OtherConversation(NamedTuple):
    """A conversation of other people; ``ended`` is None while analytics do not show its end."""

    conversation_id: str
    began: float
    ended: float | None


class Traffic:
    """Traffic that follows from the time and the seed alone, and is never stored.

    ``started`` is when the sandbox started, in seconds since the epoch.
    """

    def __init__(
        self, rules: TrafficRules, archive: MessageArchive, seed: int, started: float
    ) -> None:
        self._rules = rules
        self._archive = archive
        self._seed = seed
        self._started = started

    @property
    def answers_last_seconds(self) -> float:
        """For how long guests answer after a message."""
        return MOST_ANSWERS * self._rules.answer_seconds if self._rules.answer_share else 0.0

    def answers(
        self, conversation_id: str, messages: Sequence[ArchivedMessage], now: float
    ) -> list[GuestAnswer]:
        """Return what the guest answered until ``now`` to the first of the client's messages.

        It has all answers, those that analytics do not show yet, too.
        """
        if not messages or not self._answers(conversation_id):
            return []
        pause, first = self._rules.answer_seconds, messages[0].time
        count = min(MOST_ANSWERS, floor((now - first) / pause))
        return [
            self._answer(f"{conversation_id}-a{number}", first + number * pause)
            for number in range(1, count + 1)
        ]

    def shown_answers(self, conversation_id: str, now: float) -> list[GuestAnswer]:
        """Return the answers that analytics show."""
        messages = self._archive.messages(conversation_id, float("inf"))
        answers = self.answers(conversation_id, messages, now)
        return [answer for answer in answers if answer.visible <= now]

    def others(self, since: float, until: float, now: float) -> Iterator[OtherConversation]:
        """Yield the conversations of others in an interval, as analytics show them at ``now``."""
        pause = self._rules.others_seconds
        if not pause:
            return
        first = max(1, ceil((since - OTHERS_LAST_SECONDS - self._started) / pause))
        last = floor((min(until, now) - self._started) / pause)
        for number in range(first, last + 1):
            id_, began = f"other-{number}", self._started + number * pause
            lag, ended = self._archive.lag(id_), began + OTHERS_LAST_SECONDS
            if began + lag <= now:
                yield OtherConversation(id_, began, ended if ended + lag <= now else None)

    def _answers(self, conversation_id: str) -> bool:
        return fraction(self._seed, "answers", conversation_id) < self._rules.answer_share

    def _answer(self, message_id: str, time: float) -> GuestAnswer:
        return GuestAnswer(message_id, time, time + self._archive.lag(message_id))
